// Guards what was typed: asks before a changed form is left, and goes to the first refused field.

const form = document.querySelector("form[data-guard]");

if (form) {
  const content = () => JSON.stringify([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  // What comes back refused was not saved.
  const saved = document.querySelector("[aria-invalid], [role=alert]:not([hidden])") ? "" : content();
  let leaving = false;
  form.addEventListener("submit", () => {
    leaving = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && content() !== saved) event.preventDefault();
  });
  form.querySelector("[aria-invalid]")?.focus();
}
