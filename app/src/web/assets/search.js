// Filters the list while typing; the server does the filtering, so that a live list stays filtered.

import { refresh } from "/assets/live.js";

const field = document.querySelector("[data-search]");
let timer;

field?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    // Other filters stay; another search begins at its first page.
    const query = new URLSearchParams(location.search);
    query.delete("page");
    if (field.value) query.set("q", field.value);
    else query.delete("q");
    history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
    refresh();
  }, 120);
});
field?.form.addEventListener("submit", (event) => event.preventDefault());
