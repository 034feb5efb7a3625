// The editor of a task: steps are added, moved and removed in place, by button, by Alt+arrow
// or by dragging, and the CRON expression is explained while it is typed.

const form = document.querySelector("[data-task-form]");
const list = form.querySelector("[data-steps]");
const blank = document.querySelector("template[data-blank]");
const moved = form.querySelector("[data-moved]");

const steps = () => [...list.querySelectorAll("[data-step]")];

function renumber(said) {
  steps().forEach((step, index) => {
    step.querySelector("[data-number]").textContent = index + 1;
  });
  moved.textContent = said ?? "";
}

function nameOf(step) {
  return step.querySelector("[name='step.name']").value || "Step";
}

function move(step, by) {
  const all = steps();
  const to = all.indexOf(step) + by;
  if (to < 0 || to >= all.length) return;
  if (by < 0) all[to].before(step);
  else all[to].after(step);
  renumber(`${nameOf(step)} is now step ${to + 1}`);
}

function remove(step) {
  const all = steps();
  const next = all[all.indexOf(step) + 1] ?? all[all.indexOf(step) - 1];
  step.remove();
  renumber(`${nameOf(step)} removed`);
  (next?.querySelector("[name='step.name']") ?? form.querySelector("[data-do=add]")).focus();
}

function add() {
  list.append(blank.content.cloneNode(true));
  renumber();
  steps().at(-1).querySelector("[name='step.name']").focus();
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  // Without this module the server does the same and sends the form back.
  event.preventDefault();
  const step = button.closest("[data-step]");
  if (button.dataset.do === "add") add();
  else if (button.dataset.do === "remove") remove(step);
  else {
    move(step, button.dataset.do === "up" ? -1 : 1);
    button.focus();
  }
});

form.addEventListener("keydown", (event) => {
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const step = event.target.closest("[data-step]");
  if (!by || !event.altKey || !step) return;
  event.preventDefault();
  const focused = document.activeElement;
  move(step, by);
  focused.focus();
});

// Pointer events and not the browser's own drag and drop, which fingers cannot do.
list.addEventListener("pointerdown", (event) => {
  const step = event.target.closest("[data-handle]")?.closest("[data-step]");
  if (!step) return;
  event.preventDefault();
  step.classList.add("dragged");
  const follow = (at) => {
    const all = steps();
    const own = all.indexOf(step);
    const middle = (other) => other.getBoundingClientRect().top + other.offsetHeight / 2;
    const above = all.findIndex((other, index) => index < own && at.clientY < middle(other));
    const below = all.findLastIndex((other, index) => index > own && at.clientY > middle(other));
    if (above >= 0) move(step, above - own);
    else if (below >= 0) move(step, below - own);
  };
  const end = () => {
    step.classList.remove("dragged");
    document.removeEventListener("pointermove", follow);
    document.removeEventListener("pointerup", end);
    document.removeEventListener("pointercancel", end);
  };
  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerup", end);
  document.addEventListener("pointercancel", end);
});

const preview = form.querySelector("[data-cron-preview]");
const explained = ["cron", "zone", "pool"].map((name) => form.elements[name]);
let timer;
let asked = 0;

async function explain() {
  const question = new URLSearchParams(explained.map((field) => [field.name, field.value]));
  question.set("task", form.dataset.taskForm);
  const number = ++asked;
  try {
    const answer = await fetch(`/fragments/cron?${question}`);
    if (!answer.ok || answer.redirected) return;
    const text = await answer.text();
    // An answer that was overtaken by a later one is old.
    if (number !== asked) return;
    const open = preview.querySelector("details")?.open;
    preview.innerHTML = text;
    const details = preview.querySelector("details");
    if (details && open) details.open = true;
  } catch {
    // The server does not answer; saving will say so.
  }
}

for (const field of explained) {
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(explain, 150);
  });
}
