// Shows a log while it grows. The browser reconnects by itself and asks for what follows
// the last event's id, which is a byte offset: no gap and no double line.

const view = document.querySelector("[data-log]");
const state = document.querySelector("[data-log-state]");

// More text than this makes a page slow; the whole log is behind "as text".
const MOST_CHARACTERS = 2_000_000;
let characters = 0;

function append(node, length) {
  const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
  view.append(node);
  characters += length;
  while (characters > MOST_CHARACTERS && view.childNodes.length > 1) {
    characters -= view.firstChild.textContent.length;
    view.firstChild.remove();
  }
  if (atEnd) view.scrollTop = view.scrollHeight;
}

function mark(text, name) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  append(span, text.length);
}

if (view) {
  const events = new EventSource(view.dataset.log);
  events.addEventListener("open", () => {
    state.textContent = "live";
  });
  events.addEventListener("chunk", (event) => {
    const { text } = JSON.parse(event.data);
    append(document.createTextNode(text), text.length);
  });
  events.addEventListener("gap", (event) => {
    const { from, to } = JSON.parse(event.data);
    mark(`\n[… ${to - from} bytes were not kept: the log passed its limit …]\n`, "gap");
  });
  events.addEventListener("end", () => {
    events.close();
    state.textContent = "complete";
    view.dataset.complete = "true";
    if (characters === 0) mark("This step printed nothing.", "quiet");
  });
  events.addEventListener("problem", (event) => {
    events.close();
    state.textContent = JSON.parse(event.data).detail;
  });
  events.addEventListener("error", () => {
    if (events.readyState !== EventSource.CLOSED) state.textContent = "connection lost, trying again…";
  });
}
