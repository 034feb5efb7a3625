// Guards what was typed: asks before a changed form is left, and goes to the first refused field.

const form = document.querySelector("form[data-guard]");

if (form) {
  // A ticked task means these tasks only; "everything" takes all ticks away.
  form.addEventListener("change", ({ target }) => {
    if (target.name === "task" && target.checked) form.querySelector("[name=scope][value=some]").checked = true;
    if (target.name !== "scope" || target.value !== "all") return;
    for (const tick of form.querySelectorAll("[name=task]")) tick.checked = false;
  });

  const content = () => JSON.stringify([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  // What comes back refused was not saved.
  const saved = document.querySelector("[aria-invalid], [role=alert]:not([hidden])") ? "" : content();
  let leaving = false;
  form.addEventListener("submit", () => {
    leaving = true;
  });
  // The login page keeps a small form along. A large text stays here until the session is known to last.
  let lasts = false;
  form.addEventListener("submit", async (event) => {
    if (lasts || content().length < 8_000) return;
    event.preventDefault();
    leaving = false;
    const answer = await fetch("/settings/account", { redirect: "manual" }).catch(() => null);
    lasts = answer?.ok ?? false;
    if (lasts) return form.requestSubmit(event.submitter);
    const notice = document.querySelector("[data-notice]");
    notice.textContent = answer ? "Your session has ended. Log in again in another tab, then save here." : "The server does not answer. Save again later.";
    notice.hidden = false;
    notice.scrollIntoView();
  });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && content() !== saved) event.preventDefault();
  });
  form.querySelector("[aria-invalid]")?.focus();
}
