// Text with ANSI escape sequences (ECMA-48) as spans. Colours become one of the sixteen that the
// style sheet knows, so that each can be read in both themes; what moves a cursor is left out.

const ESCAPE = /\x1b(?:\[([0-9;:?<=>]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])/g;
const REST = /[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]/g;

// Anchors of the eight colours, to find the nearest one for any other.
const ANCHORS = [
  [0, 0, 0], [205, 0, 0], [0, 180, 0], [190, 150, 0], [30, 90, 220], [190, 0, 190], [0, 160, 180], [210, 210, 210],
];

function nearest(r, g, b) {
  let best = 7;
  let least = Infinity;
  ANCHORS.forEach(([x, y, z], index) => {
    const distance = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2;
    if (distance < least) [best, least] = [index, distance];
  });
  return best;
}

function indexed(number) {
  if (number < 16) return number % 8;
  if (number >= 232) return number < 244 ? 0 : 7;
  const level = (value) => (value ? 55 + 40 * value : 0);
  const cube = number - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

// The state after a sequence of SGR parameters.
function ink(old, parameters) {
  let now = { ...old };
  const codes = parameters.split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) now = {};
    else if (code === 1) now.bold = true;
    else if (code === 2) now.dim = true;
    else if (code === 3) now.italic = true;
    else if (code === 4) now.underline = true;
    else if (code === 7) now.inverse = true;
    else if (code === 22) now.bold = now.dim = false;
    else if (code === 23) now.italic = false;
    else if (code === 24) now.underline = false;
    else if (code === 27) now.inverse = false;
    else if (code === 38 || code === 48) {
      const colour = codes[at + 1] === 5 ? indexed(codes[at + 2]) : nearest(...codes.slice(at + 2, at + 5));
      if (code === 38) now.front = colour;
      at += codes[at + 1] === 5 ? 2 : 4;
    } else if (code >= 30 && code <= 37) now.front = code - 30;
    else if (code >= 90 && code <= 97) now.front = code - 90;
    else if (code === 39) now.front = undefined;
  }
  return now;
}

function classes(state) {
  const names = ["bold", "dim", "italic", "underline", "inverse"].filter((name) => state[name]);
  if (state.front !== undefined) names.push(`ink${state.front}`);
  return names.join(" ");
}

// Puts a line into `node`, with what matches `query` marked; returns the state at its end.
export function write(node, line, state, query) {
  // What was overwritten on a terminal is not shown: a progress bar has many lives.
  const back = line.replace(/\r+$/, "").lastIndexOf("\r");
  const text = back < 0 ? line : line.slice(back + 1);
  if (back >= 0) for (const found of line.slice(0, back).matchAll(ESCAPE)) if (found[2] === "m") state = ink(state, found[1]);
  const add = (part) => {
    const clean = part.replace(REST, "").replaceAll("\r", "");
    if (!clean) return;
    const names = classes(state);
    let target = node;
    if (names) {
      target = document.createElement("span");
      target.className = names;
      node.append(target);
    }
    mark(target, clean, query);
  };
  node.textContent = "";
  let from = 0;
  for (const found of text.matchAll(ESCAPE)) {
    add(text.slice(from, found.index));
    if (found[2] === "m") state = ink(state, found[1]);
    from = found.index + found[0].length;
  }
  add(text.slice(from).replaceAll("\x1b", ""));
  return state;
}

function mark(target, text, query) {
  if (!query) {
    target.append(text);
    return;
  }
  const low = text.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(query); at >= 0 && low.length === text.length; at = low.indexOf(query, from)) {
    const hit = document.createElement("mark");
    hit.textContent = text.slice(at, at + query.length);
    target.append(text.slice(from, at), hit);
    from = at + query.length;
  }
  target.append(text.slice(from));
}
