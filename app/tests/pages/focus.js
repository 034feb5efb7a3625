// Watches where the Tab key leads. Called with "watch" before the keys are pressed and with "tell"
// afterwards; then it returns what is wrong: a control that is not reached, an order that is not the
// page's, a focus that is not seen. Runs as the body of a function.

const TABBABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";

const tabbable = () =>
  [...document.querySelectorAll(TABBABLE)].filter((el) => {
    if (el.disabled || el.tabIndex < 0 || !el.checkVisibility({ visibilityProperty: true })) return false;
    // One stop for each group of radio buttons.
    if (el.type === "radio") return el === (document.querySelector(`input[type=radio][name="${CSS.escape(el.name)}"]:checked`) ?? el);
    return true;
  });

const describe = (el) => `${el.localName}${el.id ? `#${el.id}` : ""} "${(el.getAttribute("aria-label") ?? el.name ?? "") || el.textContent.trim().slice(0, 30)}"`;

function seen(el) {
  // A ring may be drawn around the field's frame or its label.
  const around = [el, el.parentElement, el.parentElement?.parentElement].filter(Boolean);
  const ring = around.find((at) => {
    const style = getComputedStyle(at);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  });
  if (!ring) return "shows no focus";
  const box = ring.getBoundingClientRect();
  if (box.bottom <= 0 || box.right <= 0 || box.top >= innerHeight || box.left >= innerWidth) return "is outside the window when it has the focus";
  const inside = (value, most) => Math.min(Math.max(value, 1), most - 1);
  const points = [[0.5, 0.5], [0.1, 0.2], [0.9, 0.8]];
  const free = points.some(([x, y]) => {
    const at = document.elementFromPoint(inside(box.left + box.width * x, innerWidth), inside(box.top + box.height * y, innerHeight));
    return at && (ring.contains(at) || at.contains(ring));
  });
  return free ? "" : "is covered when it has the focus";
}

if (arguments[0] === "watch") {
  const stops = [];
  window.focusStops = stops;
  document.addEventListener(
    "keydown",
    (event) => {
      const el = document.activeElement;
      if (event.key !== "Tab" || el === document.body || el === document.documentElement) return;
      if (!stops.some((stop) => stop.el === el)) stops.push({ el, wrong: seen(el) });
    },
    true,
  );
  // The keys begin at the top, wherever the page has put the focus.
  const top = document.createElement("span");
  top.tabIndex = -1;
  document.body.prepend(top);
  top.focus();
  top.remove();
  // Tab stops at each part of a date, and at the button of its calendar.
  const dates = tabbable().filter((el) => el.type === "date").length;
  return tabbable().length + 3 + 3 * dates;
}

const stops = window.focusStops;
const findings = [];
for (const { el, wrong } of stops) if (wrong) findings.push(`${describe(el)} ${wrong}`);
for (const el of tabbable()) if (!stops.some((stop) => stop.el === el)) findings.push(`${describe(el)} is not reached by Tab`);
// The first stop comes round again at the end and is noted once.
for (let i = 1; i < stops.length; i++) {
  const [before, after] = [stops[i - 1].el, stops[i].el];
  if (!(before.compareDocumentPosition(after) & Node.DOCUMENT_POSITION_FOLLOWING)) findings.push(`${describe(after)} comes after ${describe(before)}`);
}
return findings;
