// Filters the list while typing; the server does the filtering, so that a live list stays filtered.

import { refresh } from "/assets/live.js";

const field = document.querySelector("[data-search]");
let timer;

field?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const query = field.value ? `?q=${encodeURIComponent(field.value)}` : "";
    history.replaceState(null, "", location.pathname + query);
    refresh();
  }, 120);
});
field?.form.addEventListener("submit", (event) => event.preventDefault());
