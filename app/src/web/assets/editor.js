// An editor out of a text area: line numbers, indentation, find, and save by key.

const text = document.querySelector("[data-editor]");
const numbers = document.querySelector("[data-numbers]");

if (text) {
  let lines = 0;
  const number = () => {
    const now = text.value.split("\n").length;
    if (now !== lines) {
      lines = now;
      numbers.textContent = Array.from({ length: now }, (_, index) => index + 1).join("\n");
    }
    numbers.scrollTop = text.scrollTop;
  };
  text.addEventListener("input", number);
  text.addEventListener("scroll", () => {
    numbers.scrollTop = text.scrollTop;
  });
  number();

  // Replaces a part so that the browser's own undo knows of it.
  const put = (from, to, by) => {
    text.setSelectionRange(from, to);
    if (!document.execCommand("insertText", false, by)) {
      text.setRangeText(by, from, to, "end");
      text.dispatchEvent(new Event("input"));
    }
  };
  const unit = () => (/^\t/m.test(text.value) ? "\t" : "    ");
  const lineStart = (at) => text.value.lastIndexOf("\n", at - 1) + 1;

  const indent = (out) => {
    const [from, to] = [text.selectionStart, text.selectionEnd];
    if (!out && !text.value.slice(from, to).includes("\n")) return put(from, to, unit());
    const start = lineStart(from);
    // A selection that ends at the start of a line does not mean that line.
    const end = to > from && text.value[to - 1] === "\n" ? to - 1 : to;
    const old = text.value.slice(start, end);
    const now = old
      .split("\n")
      .map((line) => (out ? line.replace(/^(\t| {1,4})/, "") : line && unit() + line))
      .join("\n");
    if (now === old) return;
    put(start, end, now);
    if (from !== to) text.setSelectionRange(start, start + now.length);
    else text.setSelectionRange(Math.max(start, from - (old.length - now.length)), Math.max(start, from - (old.length - now.length)));
  };

  // Esc lets the next Tab leave the text, so that the keyboard is not caught in it.
  let leaving = false;
  text.addEventListener("keydown", (event) => {
    if (text.readOnly) return;
    if (event.key === "Escape") leaving = true;
    else if (event.key === "Tab" && !leaving && !event.ctrlKey && !event.altKey) {
      event.preventDefault();
      indent(event.shiftKey);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      const start = lineStart(text.selectionStart);
      const line = text.value.slice(start, text.selectionStart);
      const deeper = /[:{(]\s*$/.test(line) ? unit() : "";
      put(text.selectionStart, text.selectionEnd, `\n${line.match(/^[ \t]*/)[0]}${deeper}`);
    } else if (event.key !== "Shift") leaving = false;
  });
  text.addEventListener("blur", () => {
    leaving = false;
  });

  const bar = document.querySelector("[data-find]");
  const field = bar.querySelector("input");
  const found = bar.querySelector("[data-found]");

  const find = (by) => {
    const wanted = field.value.toLowerCase();
    if (!wanted) return void (found.textContent = "");
    const all = [];
    const content = text.value.toLowerCase();
    for (let at = content.indexOf(wanted); at >= 0; at = content.indexOf(wanted, at + wanted.length)) all.push(at);
    if (!all.length) return void (found.textContent = "not found");
    const here = text.selectionStart;
    const next = all.findIndex((at) => at > here || (by === 0 && at === here));
    const previous = all.findLastIndex((at) => at < here);
    const pick = by < 0 ? (previous < 0 ? all.length - 1 : previous) : Math.max(0, next);
    text.setSelectionRange(all[pick], all[pick] + wanted.length);
    const line = content.slice(0, all[pick]).split("\n").length;
    const height = text.scrollHeight / Math.max(1, text.value.split("\n").length);
    text.scrollTop = Math.max(0, line * height - text.clientHeight / 2);
    found.textContent = `${pick + 1} of ${all.length}, line ${line}`;
  };
  field.addEventListener("input", () => find(0));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      find(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      bar.hidden = true;
      text.focus();
    }
  });
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("[data-next]");
    if (button) find(Number(button.dataset.next));
  });

  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (event.key === "s" && document.querySelector("[data-save]")) {
      event.preventDefault();
      text.form.requestSubmit(document.querySelector("[data-save]"));
    } else if (event.key === "f") {
      event.preventDefault();
      bar.hidden = false;
      field.focus();
      field.select();
    }
  });
}
