// The log viewer. It holds a window of the log, never all of it: lines are loaded where somebody
// looks and dropped elsewhere. While the window is at the end it grows with the log; the browser
// reconnects by itself after the last event's id, a byte offset: no gap and no double line.

import { write } from "/assets/ansi.js";

const view = document.querySelector("[data-log]");
const state = document.querySelector("[data-log-state]");
const found = document.querySelector("[data-log-found]");
const slider = document.querySelector("[data-log-position]");
const search = document.querySelector("[data-log-search]");

// Most of the log that is in the page at once.
const MOST_BYTES = 512 * 1024;
const MOST_LINES = 6000;
// A line that is longer is shown in pieces.
const LONGEST = 16 * 1024;

const clock = new Intl.DateTimeFormat("en-GB", {
  timeZone: view.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit",
});

let start = 0; // offset of the first byte in the window
let end = 0; // offset after the last one
let length = 0; // of the whole log, as far as we know
let marks = []; // when what was printed
let query = "";
let matches = { offsets: [], more: false };
let current = -1;
let events = null; // the live stream, while the window is at the end
let complete = false;
let loading = false;

const address = (name, parameters) => {
  const url = new URL(`${view.dataset.log}/${name}`, location.href);
  url.searchParams.set("attempt", view.dataset.attempt);
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
  return url;
};

async function ask(name, parameters) {
  const answer = await fetch(address(name, parameters));
  if (!answer.ok || answer.redirected) throw new Error("The log cannot be read.");
  return answer.json();
}

// Bytes of a text in UTF-8. What was no UTF-8 became one U+FFFD for one byte.
function bytes(text) {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x80 || code === 0xfffd) count += 1;
    else if (code < 0x800 || (code >= 0xd800 && code < 0xe000)) count += 2;
    else count += 3;
  }
  return count;
}

const lines = () => view.children;
const last = () => view.lastElementChild;
const atEnd = () => view.scrollHeight - view.scrollTop - view.clientHeight < 40;

function timeOf(offset) {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (marks[middle].offset <= offset) low = middle + 1;
    else high = middle;
  }
  return low ? clock.format(marks[low - 1].millis) : "";
}

function learn(times) {
  if (!times?.length) return;
  const known = new Set(marks.map((mark) => mark.offset));
  marks = marks.concat(times.filter((mark) => !known.has(mark.offset))).sort((a, b) => a.offset - b.offset);
}

function paint(node) {
  node.after = write(node, node.raw, node.before, query);
  node.dataset.time = timeOf(node.offset);
}

// A node for a line, or for a piece of one; `open` while more of the line may come.
function line(raw, offset, before) {
  const node = document.createElement("span");
  node.className = "line";
  Object.assign(node, { raw, offset, size: bytes(raw), before, open: true });
  return node;
}

function note(text, offset = end) {
  const node = line("", offset, {});
  node.open = false;
  node.className = "line gap";
  node.textContent = text;
  return node;
}

function* pieces(text) {
  let from = 0;
  while (from < text.length) {
    const at = text.indexOf("\n", from);
    const to = Math.min(at < 0 ? text.length : at + 1, from + LONGEST);
    yield text.slice(from, to);
    from = to;
  }
}

// Lines of a text that begins at `offset`; the first may go on with the line in `open`.
function build(text, offset, open) {
  const made = document.createDocumentFragment();
  let before = open?.after ?? {};
  for (const piece of pieces(text)) {
    const ended = piece.endsWith("\n");
    const raw = ended ? piece.slice(0, -1) : piece;
    if (open && open.raw.length < LONGEST) {
      open.raw += raw;
      open.size += bytes(piece);
      open.open = !ended;
      paint(open);
      before = open.after;
      offset += bytes(piece);
      open = open.open ? open : null;
      continue;
    }
    const node = line(raw, offset, before);
    node.size = bytes(piece);
    node.open = !ended;
    paint(node);
    before = node.after;
    offset += node.size;
    made.append(node);
    open = node.open ? node : null;
  }
  return made;
}

function append(text, offset, next) {
  if (offset > end && lines().length) view.append(note(`[… ${offset - end} bytes were not kept: the log passed its limit …]`));
  const open = last()?.open ? last() : null;
  view.append(build(text, offset, open));
  end = next;
  length = Math.max(length, end);
}

function prepend(text, offset, next) {
  const height = view.scrollHeight;
  const made = build(text, offset, null);
  const tail = made.lastElementChild;
  const first = lines()[0];
  if (tail?.open && first && next === start && !first.classList.contains("gap")) {
    // A line that was cut between two parts becomes one again.
    first.raw = tail.raw + first.raw;
    first.size += tail.size;
    first.offset = tail.offset;
    first.before = tail.before;
    tail.remove();
    paint(first);
  }
  if (next < start) made.append(note(`[… ${start - next} bytes were not kept: the log passed its limit …]`, next));
  view.prepend(made);
  start = offset;
  view.scrollTop += view.scrollHeight - height;
}

const over = () => end - start > MOST_BYTES || lines().length > MOST_LINES;

function dropFirst() {
  const height = view.scrollHeight;
  while (over() && lines().length > 1) {
    const first = lines()[0];
    start = first.offset + first.size;
    first.remove();
  }
  view.scrollTop -= height - view.scrollHeight;
}

function dropLast() {
  let dropped = false;
  while (over() && lines().length > 1) {
    end = last().offset;
    last().remove();
    dropped = true;
  }
  if (dropped) detach();
}

function detach() {
  if (!events) return;
  events.close();
  events = null;
  say();
}

function say(text) {
  if (text) state.textContent = text;
  else if (complete && end >= length) state.textContent = "complete";
  else if (events) state.textContent = "live";
  else state.textContent = complete ? "complete, seen in parts" : "more below: go to the end to follow";
  const whole = start === 0 && end >= length;
  slider.hidden = whole;
  if (!whole) place();
}

// Where the window is in the log.
function place() {
  const top = [...lines()].find((node) => node.offsetTop + node.offsetHeight > view.scrollTop);
  const at = atEnd() && end >= length ? length : (top?.offset ?? start);
  slider.value = length ? Math.round((at / length) * 1000) : 0;
}

function attach() {
  if (events || complete) return say();
  events = new EventSource(address("stream", { offset: end }));
  const mine = events;
  events.addEventListener("open", () => say());
  events.addEventListener("chunk", (event) => {
    const chunk = JSON.parse(event.data);
    if (chunk.next <= end) return;
    const follow = atEnd();
    learn(chunk.times);
    append(chunk.text, chunk.offset, chunk.next);
    if (follow) {
      dropFirst();
      view.scrollTop = view.scrollHeight;
    } else if (over()) {
      // Nobody looks at the end; it is loaded when somebody does.
      detach();
    }
  });
  events.addEventListener("gap", (event) => {
    length = Math.max(length, JSON.parse(event.data).to);
  });
  events.addEventListener("end", (event) => {
    mine.close();
    events = null;
    complete = true;
    length = Math.max(length, JSON.parse(event.data).length);
    if (!lines().length) {
      view.append(note("This step printed nothing."));
      last().className = "line quiet";
    }
    view.dataset.complete = "true";
    say();
  });
  events.addEventListener("problem", (event) => {
    mine.close();
    events = null;
    say(JSON.parse(event.data).detail);
  });
  events.addEventListener("error", () => {
    if (mine.readyState !== EventSource.CLOSED) say("connection lost, trying again…");
  });
  say();
}

// One piece of work at a time: whoever scrolls asks often.
async function once(work) {
  if (loading) return;
  loading = true;
  try {
    await work();
  } catch (error) {
    say(error.message);
  } finally {
    loading = false;
  }
}

async function earlier() {
  if (start === 0) return;
  const part = await ask("part", { before: start });
  length = Math.max(length, part.length);
  learn(part.times);
  if (part.end > part.start) prepend(part.text, part.start, part.end);
  dropLast();
  say();
}

async function later() {
  if (events) return;
  const part = await ask("part", { after: end });
  length = Math.max(length, part.length);
  learn(part.times);
  if (part.end > end) append(part.text, part.start, part.end);
  dropFirst();
  if (end >= length) attach();
  else say();
}

// Empties the window and puts it somewhere else.
function reset(part) {
  detach();
  view.textContent = "";
  marks = [];
  learn(part.times);
  start = part.start;
  end = part.start;
  length = Math.max(length, part.length);
  append(part.text, part.start, part.end);
}

async function toEnd() {
  if (end < length || !events) reset(await ask("part", {}));
  if (end - start < MOST_BYTES / 4) await earlier();
  view.scrollTop = view.scrollHeight;
  attach();
}

async function toBegin() {
  if (start > 0) reset(await ask("part", { after: 0 }));
  view.scrollTop = 0;
  say();
}

async function toOffset(offset) {
  const part = await ask("part", { after: offset, line: true });
  reset(part);
  await earlier();
  const node = [...lines()].find((node) => node.offset >= part.start);
  if (node) view.scrollTop = node.offsetTop - view.clientHeight / 3;
  say();
}

// Shows the match of that number.
async function toMatch(number) {
  current = number;
  const offset = matches.offsets[number];
  if (offset < start || offset >= end) {
    reset(await ask("part", { after: offset }));
    await earlier();
  }
  const node = [...lines()].findLast((node) => node.offset <= offset && node.size > 0);
  for (const old of view.querySelectorAll(".here")) old.classList.remove("here");
  if (node) {
    node.classList.add("here");
    view.scrollTop = node.offsetTop - view.clientHeight / 3;
  }
  found.textContent = `${number + 1} of ${matches.offsets.length}${matches.more ? "+" : ""}`;
  say();
}

async function find(step) {
  const text = search.elements.q.value;
  if (text !== search.dataset.asked || (!complete && step > 0 && current + 1 >= matches.offsets.length)) {
    const fresh = text !== search.dataset.asked;
    search.dataset.asked = text;
    query = text.toLowerCase();
    for (const node of lines()) if (node.raw) paint(node);
    matches = text ? await ask("search", { q: text }) : { offsets: [], more: false };
    if (fresh) {
      const top = [...lines()].find((node) => node.offsetTop + node.offsetHeight > view.scrollTop)?.offset ?? 0;
      current = matches.offsets.findIndex((offset) => offset >= top) - step;
      if (step < 0) current = matches.offsets.findLastIndex((offset) => offset <= top) - step;
      if (current === -1 - step) current = step > 0 ? -1 : matches.offsets.length;
    }
  }
  const count = matches.offsets.length;
  if (!count) {
    found.textContent = text ? "not found" : "";
    return;
  }
  await toMatch((((current + step) % count) + count) % count);
}

function toggle(button, name, on) {
  button.setAttribute("aria-pressed", on);
  view.classList.toggle(name, on);
  try {
    localStorage.setItem(`log-${name}`, on);
  } catch {
    // A browser that keeps nothing forgets the choice.
  }
}

for (const button of document.querySelectorAll("[data-log-do]")) {
  const what = button.dataset.logDo;
  const setting = ["wrap", "times"].includes(what);
  if (setting) {
    let kept = null;
    try {
      kept = localStorage.getItem(`log-${what}`);
    } catch {
      // As above.
    }
    if (kept !== null) toggle(button, what, kept === "true");
  }
  button.addEventListener("click", () => {
    if (setting) toggle(button, what, button.getAttribute("aria-pressed") !== "true");
    else if (what === "begin") once(toBegin);
    else if (what === "end") once(toEnd);
    else if (what === "previous") once(() => find(-1));
  });
}

search.addEventListener("submit", (event) => {
  event.preventDefault();
  once(() => find(1));
});

let moved;
slider.addEventListener("change", () => once(() => toOffset(Math.round((slider.value / 1000) * length))));
view.addEventListener("scroll", () => {
  if (view.scrollTop < 200 && start > 0) once(earlier);
  else if (atEnd() && !events && (end < length || !complete)) once(later);
  clearTimeout(moved);
  moved = setTimeout(() => slider.hidden || place(), 100);
});

once(toEnd);
