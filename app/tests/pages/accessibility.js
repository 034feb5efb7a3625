// Finds what keeps people from using a page: names, roles, structure, the contrast of what is really
// painted, sizes of targets, overflow. The rules are those of WCAG 2.2, level AA, as far as a program
// can decide them. Runs as the body of a function and returns [{ rule, at, why }].

const findings = [];
const all = (css, root = document) => [...root.querySelectorAll(css)];

function describe(el) {
  const id = el.id ? `#${el.id}` : "";
  const kind = [...el.classList].map((c) => `.${c}`).join("");
  const attributes = ["name", "href", "type", "for", "role"].filter((a) => el.hasAttribute(a));
  const more = attributes.map((a) => `[${a}=${el.getAttribute(a)}]`).join("");
  const text = el.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
  return `${el.localName}${id}${kind}${more}${text ? ` "${text}"` : ""}`;
}

function found(rule, el, why) {
  findings.push({ rule, at: describe(el), why });
}

// ---- what is there -------------------------------------------------------------------------------

const exposed = (el) => el.checkVisibility({ visibilityProperty: true }) && !el.closest("[aria-hidden=true], [inert]");

/** Whether eyes can see it: painted, and not clipped away for screen readers only. */
function painted(el) {
  if (!el.checkVisibility({ visibilityProperty: true })) return false;
  const box = el.getBoundingClientRect();
  if (box.width <= 1 || box.height <= 1) return false;
  for (let at = el; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.clipPath === "inset(50%)" || Number(style.opacity) === 0) return false;
  }
  return box.right > 0 && box.bottom > 0;
}

const INTERACTIVE =
  "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=link], [role=switch], [role=checkbox], [role=tab], [role=menuitem], [tabindex]:not([tabindex='-1'])";
const CONTROL = "input:not([type=hidden], [type=submit], [type=button], [type=reset], [type=image]), select, textarea";

// ---- names (after the W3C's accessible name computation) -------------------------------------------

function textOf(node, but) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (node.nodeType !== Node.ELEMENT_NODE || node === but) return "";
  if (node !== but && !exposed(node)) return "";
  if (node.hasAttribute("aria-label")) return ` ${node.getAttribute("aria-label")} `;
  if (node.localName === "img") return ` ${node.alt} `;
  if (node.localName === "svg") return ` ${node.querySelector("title")?.textContent ?? ""} `;
  if (node.matches(CONTROL)) return "";
  const inside = [...node.childNodes].map((child) => textOf(child, but)).join("");
  return getComputedStyle(node).display === "inline" ? inside : ` ${inside} `;
}

const referred = (el, attribute) =>
  (el.getAttribute(attribute) ?? "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id));

function nameOf(el) {
  const by = referred(el, "aria-labelledby").map((other) => other?.textContent ?? "").join(" ").trim();
  if (by) return by;
  const label = el.getAttribute("aria-label")?.trim();
  if (label) return label;
  let text = "";
  if (el.matches("input[type=submit], input[type=button]")) text = el.value;
  else if (el.matches("img, input[type=image]")) text = el.getAttribute("alt") ?? "";
  else if (el.matches(CONTROL)) text = [...(el.labels ?? [])].map((l) => [...l.childNodes].map((n) => textOf(n, el)).join("")).join(" ");
  else if (el.localName === "svg") text = el.querySelector("title")?.textContent ?? "";
  else if (el.localName === "fieldset") text = el.querySelector(":scope > legend")?.textContent ?? "";
  else if (el.matches("a, button, summary, th, h1, h2, h3, h4, h5, h6, legend, [role]")) text = [...el.childNodes].map((n) => textOf(n)).join("");
  return text.trim().replace(/\s+/g, " ") || el.getAttribute("title")?.trim() || "";
}

function names() {
  for (const el of all(CONTROL).filter(exposed)) if (!nameOf(el)) found("label", el, "this control has no label");
  for (const el of all("a[href], button, summary, [role=button], [role=link], [role=switch], [role=tab], input[type=submit], input[type=button]").filter(exposed)) {
    const name = nameOf(el);
    if (!name) found("name", el, "nothing says what this does");
    const seen = [...el.childNodes].map((n) => (n.nodeType === 1 && n.getAttribute("aria-hidden") === "true" ? "" : n.textContent)).join("").trim().replace(/\s+/g, " ");
    // Whoever speaks to the browser says what is written there (2.5.3).
    const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
    if (el.hasAttribute("aria-label") && plain(seen) && !plain(name).includes(plain(seen))) found("label-in-name", el, `named "${name}", but shows "${seen}"`);
  }
  for (const el of all("img, area, input[type=image]")) if (!el.hasAttribute("alt")) found("alt", el, "no alt");
  for (const el of all("svg, canvas, [role=img]").filter(exposed)) {
    if (el.parentElement.closest("svg")) continue;
    if (el.getAttribute("role") !== "img") found("graphic", el, "needs role=img and a name, or aria-hidden=true");
    else if (!nameOf(el)) found("graphic", el, "has no name");
  }
  for (const el of all("iframe, dialog, [role=dialog]")) if (!nameOf(el) && !el.title) found("name", el, "has no name");
  for (const el of all("fieldset").filter(exposed)) if (!nameOf(el)) found("legend", el, "no legend");
  for (const el of all("input[type=radio]").filter(exposed)) if (!el.closest("fieldset, [role=radiogroup]")) found("legend", el, "this choice is in no fieldset");
  for (const el of all("input[type=password]")) if (!/password/.test(el.autocomplete)) found("autocomplete", el, "current-password or new-password is missing");
  for (const el of all("[aria-invalid]:not([aria-invalid=false])")) {
    const why = [...referred(el, "aria-describedby"), ...referred(el, "aria-errormessage")].some((other) => other?.textContent.trim());
    if (!why) found("error-message", el, "is refused, but refers to no message");
  }
  // A name on an element without a role is not spoken (ARIA 1.2, 5.2.8.6).
  for (const el of all("div[aria-label], span[aria-label], p[aria-label], small[aria-label], div[aria-labelledby], span[aria-labelledby]"))
    if (!el.hasAttribute("role")) found("name-without-role", el, "a name needs a role");
}

// ---- structure -----------------------------------------------------------------------------------

function structure() {
  const root = document.documentElement;
  if (!/^[a-z]{2,3}(-[A-Za-z0-9]+)*$/.test(root.lang)) found("language", root, `lang is "${root.lang}"`);
  if (!document.title.trim()) found("title", root, "the page has no title");
  const viewport = document.querySelector("meta[name=viewport]")?.content ?? "";
  if (!viewport.includes("width=device-width")) found("viewport", root, "a phone shows this page tiny");
  if (/user-scalable\s*=\s*(no|0)|maximum-scale\s*=\s*[01]\b/.test(viewport)) found("viewport", root, "zoom is forbidden");
  const first = all("h1").filter(exposed);
  if (first.length !== 1) found("one-h1", root, `${first.length} h1`);
  let level = 0;
  for (const el of all("h1, h2, h3, h4, h5, h6").filter(exposed)) {
    const own = Number(el.localName[1]);
    if (own > level + 1) found("heading-order", el, `h${own} after ${level ? `h${level}` : "nothing"}`);
    if (!nameOf(el)) found("empty-heading", el, "an empty heading");
    level = own;
  }
  const mains = all("main, [role=main]").filter(exposed);
  if (mains.length !== 1) found("main", root, `${mains.length} main landmarks`);
  for (const kind of ["nav", "aside"]) {
    const here = all(kind).filter(exposed);
    if (here.length > 1) for (const el of here) if (!nameOf(el)) found("landmark-name", el, "several of a kind need names");
  }
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = words.nextNode(); node; node = words.nextNode()) {
    const el = node.parentElement;
    if (!node.data.trim() || !exposed(el) || el.closest("script, style, template, noscript")) continue;
    if (!el.closest("main, header, nav, footer, aside, section[aria-label], .skip")) found("outside-landmarks", el, "in no landmark");
  }
  const nav = document.querySelector("nav");
  const skip = document.querySelector("a[href]");
  if (nav && !(skip.getAttribute("href").startsWith("#") && document.querySelector(skip.getAttribute("href"))?.matches("main")))
    found("skip-link", root, "the first link does not lead past the navigation");

  const ids = new Map();
  for (const el of all("[id]")) ids.has(el.id) ? found("duplicate-id", el, el.id) : ids.set(el.id, el);
  for (const el of all("a[href^='#']")) {
    const id = el.getAttribute("href").slice(1);
    if (id && !ids.has(id)) found("reference", el, `there is no #${id}`);
  }
  for (const attribute of ["for", "form", "list", "aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "aria-details", "aria-errormessage", "aria-activedescendant"])
    for (const el of all(`[${attribute}]`))
      for (const id of el.getAttribute(attribute).split(/\s+/).filter(Boolean)) if (!ids.has(id)) found("reference", el, `${attribute}: there is no #${id}`);

  for (const el of all("table:not([role=presentation], [role=none])").filter(exposed)) {
    if (!el.querySelector("th")) found("table-headers", el, "no header cell");
  }
  for (const el of all("th").filter((el) => el.checkVisibility())) {
    if (!["col", "row", "colgroup", "rowgroup"].includes(el.getAttribute("scope"))) found("table-headers", el, "no scope");
    if (!nameOf(el)) found("table-headers", el, "an empty header cell");
  }
  const only = (parents, children) => {
    for (const parent of all(parents)) for (const el of parent.children) if (!el.matches(children)) found("list", el, `inside ${parent.localName}`);
  };
  only("ul:not([role]), ol:not([role])", "li, script, template");
  only("dl", "dt, dd, div, script, template");
  for (const el of all("li")) if (!el.parentElement.matches("ul, ol, menu")) found("list", el, "outside a list");
  for (const el of all("dt, dd")) if (!el.closest("dl")) found("list", el, "outside a dl");
}

// ---- roles ---------------------------------------------------------------------------------------

const ROLES = new Set(
  "alert alertdialog application article banner blockquote button caption cell checkbox code columnheader combobox complementary contentinfo definition deletion dialog document emphasis feed figure form generic grid gridcell group heading img insertion link list listbox listitem log main marquee math menu menubar menuitem menuitemcheckbox menuitemradio meter navigation none note option paragraph presentation progressbar radio radiogroup region row rowgroup rowheader scrollbar search searchbox separator slider spinbutton status strong subscript superscript switch tab table tablist tabpanel term textbox time timer toolbar tooltip tree treegrid treeitem".split(" "),
);
const REQUIRED = { checkbox: ["aria-checked"], switch: ["aria-checked"], radio: ["aria-checked"], combobox: ["aria-expanded"], slider: ["aria-valuenow"], meter: ["aria-valuenow"], scrollbar: ["aria-valuenow", "aria-controls"], tab: ["aria-selected"], option: ["aria-selected"], heading: ["aria-level"] };
const WITHIN = { tab: "[role=tablist]", option: "[role=listbox], select", menuitem: "[role=menu], [role=menubar]", listitem: "[role=list], ul, ol", row: "[role=table], [role=grid], [role=treegrid], table", gridcell: "[role=row], tr", treeitem: "[role=tree]" };
const NAMED = new Set(["region", "progressbar", "meter", "dialog", "alertdialog", "tabpanel", "listbox", "slider", "img", "grid"]);
const BOOLEAN = new Set("aria-atomic aria-busy aria-disabled aria-modal aria-multiline aria-multiselectable aria-readonly aria-required aria-expanded aria-hidden aria-selected".split(" "));
const TOKENS = { "aria-checked": "true false mixed", "aria-pressed": "true false mixed", "aria-current": "page step location date time true false", "aria-live": "off polite assertive", "aria-invalid": "true false grammar spelling", "aria-haspopup": "true false menu listbox tree grid dialog", "aria-orientation": "horizontal vertical undefined", "aria-sort": "ascending descending none other", "aria-autocomplete": "inline list both none" };
const FREE = new Set("aria-label aria-labelledby aria-describedby aria-controls aria-owns aria-details aria-errormessage aria-activedescendant aria-description aria-flowto aria-keyshortcuts aria-placeholder aria-relevant aria-roledescription aria-valuetext aria-valuenow aria-valuemin aria-valuemax aria-level aria-posinset aria-setsize aria-colcount aria-colindex aria-colspan aria-rowcount aria-rowindex aria-rowspan".split(" "));

function roles() {
  for (const el of all("[role]")) {
    const role = el.getAttribute("role");
    if (!ROLES.has(role)) found("role", el, `there is no role ${role}`);
    for (const needed of REQUIRED[role] ?? []) if (!el.hasAttribute(needed) && el.localName !== "input") found("role", el, `${role} needs ${needed}`);
    if (WITHIN[role] && !el.parentElement.closest(WITHIN[role])) found("role", el, `${role} belongs into ${WITHIN[role]}`);
    if (NAMED.has(role) && exposed(el) && !el.hasAttribute("aria-label") && !nameOf(el)) found("role", el, `${role} needs a name`);
    if (["button", "link", "switch", "checkbox", "tab"].includes(role) && exposed(el) && el.tabIndex < 0 && !el.disabled) found("role", el, "no key reaches it");
  }
  for (const el of all("*"))
    for (const { name, value } of el.attributes) {
      if (!name.startsWith("aria-")) continue;
      const allowed = BOOLEAN.has(name) ? ["true", "false"] : TOKENS[name]?.split(" ");
      if (!allowed && !FREE.has(name)) found("aria-attribute", el, `there is no ${name}`);
      if (allowed && !allowed.includes(value)) found("aria-attribute", el, `${name} cannot be "${value}"`);
      if (FREE.has(name) && !value.trim()) found("aria-attribute", el, `${name} is empty`);
    }
  for (const el of all("[tabindex]")) if (el.tabIndex > 0) found("tabindex", el, "changes the order of the focus");
  for (const hidden of all("[aria-hidden=true]"))
    for (const el of [hidden, ...all(INTERACTIVE, hidden)])
      if (el.matches(INTERACTIVE) && el.tabIndex >= 0 && el.checkVisibility() && !el.disabled) found("hidden-focus", el, "can have the focus, but is hidden from screen readers");
  for (const el of all(INTERACTIVE)) {
    const outer = el.parentElement.closest("a[href], button, summary, [role=button], [role=link]");
    if (outer && !(el.localName === "summary" && outer.localName === "details")) found("nested", el, `inside ${describe(outer)}`);
  }
  for (const el of all("[tabindex='0']").filter(exposed))
    if (!el.matches("a, button, input, select, textarea") && !el.hasAttribute("role") && !nameOf(el)) found("role", el, "has the focus, but neither role nor name");
  for (const el of all("*").filter(painted)) {
    const style = getComputedStyle(el);
    const scrolls = (axis, more) => /auto|scroll/.test(style[axis]) && more > 1;
    if (!(scrolls("overflowX", el.scrollWidth - el.clientWidth) || scrolls("overflowY", el.scrollHeight - el.clientHeight))) continue;
    if (el.matches("html, body, textarea, input, select") || el.tabIndex >= 0) continue;
    if (!all(INTERACTIVE, el).some((inner) => inner.tabIndex >= 0 && inner.checkVisibility())) found("scroll-focus", el, "no key scrolls this");
  }
  for (const el of all("*").filter(painted)) {
    const style = getComputedStyle(el);
    if (style.order !== "0" || style.flexDirection.endsWith("reverse")) found("visual-order", el, "the eye and the focus go different ways");
  }
}

// ---- colours -------------------------------------------------------------------------------------

const dot = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const known = new Map();
/** Any colour of CSS as [red, green, blue, alpha]. */
function rgba(css) {
  if (!known.has(css)) {
    dot.clearRect(0, 0, 1, 1);
    dot.fillStyle = "#000";
    dot.fillStyle = css;
    dot.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = dot.getImageData(0, 0, 1, 1).data;
    known.set(css, [r, g, b, a / 255]);
  }
  return known.get(css);
}
const over = ([r, g, b, a], below, opacity = 1) => [r, g, b].map((c, i) => c * a * opacity + below[i] * (1 - a * opacity));
function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}
const hex = (colour) => `#${colour.map((c) => Math.round(c).toString(16).padStart(2, "0")).join("")}`;

/** What is painted behind the content of an element: [colour, opacity, image]. */
function behind(el) {
  const chain = [];
  for (let at = el; at; at = at.parentElement) chain.unshift(at);
  let [colour, opacity, image] = [[255, 255, 255], 1, false];
  for (const at of chain) {
    const style = getComputedStyle(at);
    opacity *= Number(style.opacity);
    const own = rgba(style.backgroundColor);
    if (own[3] === 1) image = false;
    if (style.backgroundImage !== "none") image = true;
    colour = over(own, colour, opacity);
  }
  return [colour, opacity, image];
}

const disabled = (el) => el.closest(":disabled, [aria-disabled=true]") || el.closest("label")?.control?.disabled;

function checkText(el, style, what) {
  const [back, opacity, image] = behind(el);
  if (image) return found("contrast", el, `${what}: an image lies behind`);
  const front = over(rgba(style.color), back, opacity);
  const size = parseFloat(style.fontSize);
  const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const there = contrast(front, back);
  if (there < needed - 0.005) found("contrast", el, `${what} ${hex(front)} on ${hex(back)} is ${there.toFixed(2)}, not ${needed}`);
}

function colours() {
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const done = new Set();
  for (let node = words.nextNode(); node; node = words.nextNode()) {
    const el = node.parentElement;
    if (!node.data.trim() || done.has(el) || el.closest("script, style, template, textarea, select, title")) continue;
    done.add(el);
    // A legend or a cell may be one pixel wide; its text still shows.
    if (painted(el) && !disabled(el)) checkText(el, getComputedStyle(el), "text");
  }
  for (const el of all("*").filter(painted)) {
    for (const pseudo of ["::before", "::after"]) {
      const style = getComputedStyle(el, pseudo);
      if (/"[^"]*[^\s"][^"]*"/.test(style.content) && !disabled(el)) checkText(el, style, pseudo);
    }
  }
  for (const el of all("input:not([type=hidden], [type=checkbox], [type=radio], [type=file], [type=range], [type=color]), textarea, select").filter(painted)) {
    if (disabled(el)) continue;
    checkText(el, getComputedStyle(el), "value");
    if (el.placeholder) checkText(el, getComputedStyle(el, "::placeholder"), "placeholder");
    // Where a field begins and ends must be seen (1.4.11).
    let frame = el;
    while (frame.parentElement && parseFloat(getComputedStyle(frame).borderTopWidth) === 0 && frame.parentElement.children.length <= 2) frame = frame.parentElement;
    const style = getComputedStyle(frame);
    const [outside] = behind(frame.parentElement);
    const edge = parseFloat(style.borderTopWidth) > 0 ? contrast(over(rgba(style.borderTopColor), outside), outside) : 1;
    const area = contrast(over(rgba(style.backgroundColor), outside), outside);
    if (Math.max(edge, area) < 3) found("field-contrast", el, `its edge has ${Math.max(edge, area).toFixed(2)}, not 3`);
  }
  // Marks that say something by their colour or shape, without a word in them.
  const MARKS = ".bar, .box, .mark, .switch span, svg [fill]:not(text), svg [class]:not(text, g, title, line)";
  for (const el of all(MARKS).filter(painted)) {
    if (el.textContent.trim() && !(el instanceof SVGElement)) continue;
    const [outside, opacity] = behind(el.parentElement.closest("svg") ?? el.parentElement);
    const style = getComputedStyle(el);
    const paints = el instanceof SVGElement ? [style.fill, style.stroke] : [style.backgroundColor, style.borderTopWidth === "0px" ? "#0000" : style.borderTopColor];
    const best = Math.max(...paints.filter((c) => c !== "none").map((c) => contrast(over(rgba(c), outside, opacity), outside)), 1);
    if (best < 3) found("mark-contrast", el, `${best.toFixed(2)}, not 3`);
  }
}

// ---- places --------------------------------------------------------------------------------------

function places() {
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) {
    const wide = all("body *").filter((el) => painted(el) && el.getBoundingClientRect().right > innerWidth + 1);
    const own = wide.filter((el) => !el.parentElement.closest(".scroll, pre"));
    found("overflow", own.at(-1) ?? root, `the page is ${root.scrollWidth} wide, the window ${innerWidth}`);
  }
  const targets = [];
  for (const el of all(INTERACTIVE).filter(painted)) {
    if (el.disabled || !el.matches("a, button, input, select, textarea, summary, [role=button], [role=link], [role=switch], [role=tab]")) continue;
    // A click on the label is a click on its box.
    const area = el.matches("[type=checkbox], [type=radio]") ? (el.closest("label") ?? el) : el;
    targets.push([el, area.getBoundingClientRect()]);
  }
  const small = (box) => box.width < 23.99 || box.height < 23.99;
  for (const [el, box] of targets) {
    if (!small(box)) continue;
    const style = getComputedStyle(el);
    const block = el.parentElement.closest("p, li, td, th, dd, dt, h1, h2, h3, div, span, small, summary, caption");
    const aside = block ? [...block.childNodes].some((n) => n !== el && n.textContent.trim() && !(n.nodeType === 1 && (n.matches(INTERACTIVE) || n.querySelector(INTERACTIVE)))) : false;
    // Links in a sentence are as high as its lines (2.5.8, inline).
    if (style.display === "inline" && aside) continue;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const near = targets.find(([other, theirs]) => {
      if (other === el || other.contains(el) || el.contains(other)) return false;
      const [dx, dy] = small(theirs)
        ? [theirs.x + theirs.width / 2 - x, theirs.y + theirs.height / 2 - y]
        : [Math.max(theirs.left - x, 0, x - theirs.right), Math.max(theirs.top - y, 0, y - theirs.bottom)];
      return Math.hypot(dx, dy) < (small(theirs) ? 24 : 12) - 0.01;
    });
    // A small one with room around it is hit as well (2.5.8, spacing).
    if (near) found("target-size", el, `${box.width.toFixed(0)} x ${box.height.toFixed(0)}, close to ${describe(near[0])}`);
  }
}

names();
structure();
roles();
colours();
places();
return findings;
