// Keeps the parts marked data-live as the server sees them, and sends what buttons ask for.

const connection = document.querySelector("[data-connection]");
const notice = document.querySelector("[data-notice]");
const live = document.querySelector("[data-live]");

let asked = false;
let again = false;
// A form was sent, and its answer is the next page. What this one shows may be deleted by then.
let leaving = false;
let asking = new AbortController();

// The session has ended; the login leads back to this page.
function login() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

export async function refresh() {
  if (!live || leaving) return;
  if (asked) {
    again = true;
    return;
  }
  asked = true;
  try {
    const answer = await fetch(live.dataset.live + location.search, { signal: asking.signal });
    if (answer.redirected) {
      login();
    } else if (answer.ok) {
      const text = await answer.text();
      const focused = live.contains(document.activeElement) ? document.activeElement : null;
      const name = ["data-key", "data-run", "href"].find((name) => focused?.hasAttribute(name));
      const value = name && CSS.escape(focused.getAttribute(name));
      const open = [...live.querySelectorAll("details[open]")].map((part) => part.querySelector("summary").textContent);
      live.innerHTML = text;
      for (const part of live.querySelectorAll("details")) {
        if (open.includes(part.querySelector("summary").textContent)) part.open = true;
      }
      // What had the focus was replaced by its successor.
      if (name) live.querySelector(`[${name}="${value}"]`)?.focus();
    } else if (answer.status === 404) {
      notice.textContent = "The subject of this page was deleted.";
      notice.hidden = false;
    }
  } catch {
    // The stream below says that the connection is lost, and asks again when it is back.
  } finally {
    asked = false;
    if (again) {
      again = false;
      setTimeout(refresh, 100);
    }
  }
}

function concerns(run) {
  if (live.dataset.runId) return String(run.id) === live.dataset.runId;
  if (live.dataset.task) return run.task === live.dataset.task;
  return true;
}

if (live) {
  connection.textContent = "connecting…";
  const events = new EventSource("/api/v1/events");
  events.addEventListener("hello", () => {
    connection.textContent = "live";
    // The server answers again.
    notice.hidden = true;
    refresh();
  });
  events.addEventListener("run", (event) => {
    if (concerns(JSON.parse(event.data))) refresh();
  });
  events.addEventListener("progress", (event) => {
    const { run, position, percent, text } = JSON.parse(event.data);
    if (live.dataset.runId !== String(run)) return;
    const part = live.querySelector(`[data-progress="${position + 1}"]`);
    if (!part) return;
    const bar = part.querySelector("progress");
    if (percent === null) bar.removeAttribute("value");
    else bar.value = percent;
    part.querySelector("small").textContent = `${percent === null ? "" : `${percent}% `}${text}`;
    part.hidden = false;
  });
  for (const name of ["tasks", "pools", "resync"]) events.addEventListener(name, refresh);
  // What is told in words of time goes stale by itself.
  const every = Number(live.dataset.every);
  if (every) {
    setInterval(() => {
      if (!document.hidden) refresh();
    }, every * 1000);
  }
  events.addEventListener("error", () => {
    const gone = events.readyState === EventSource.CLOSED;
    connection.textContent = gone ? "connection lost, reload the page" : "connection lost, trying again…";
  });
}

async function send(path, body) {
  notice.hidden = true;
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) return;
    if (answer.status === 401) return login();
    const problem = await answer.json();
    notice.textContent = problem.detail;
  } catch {
    notice.textContent = "The server does not answer.";
  }
  notice.hidden = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.run) {
    // Without this module the form around it does the same.
    event.preventDefault();
    button.disabled = true;
    send(`/api/v1/tasks/${encodeURIComponent(button.dataset.run)}/run`, {}).then(refresh);
  } else if (button?.dataset.cancel) {
    event.preventDefault();
    button.disabled = true;
    button.textContent = "Cancelling…";
    send(`/api/v1/runs/${button.dataset.cancel}/cancel`, { force: "force" in button.dataset }).then(refresh);
  }
});

// What goes on counts its seconds.
function lasted(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
setInterval(() => {
  if (document.hidden) return;
  for (const part of document.querySelectorAll("[data-since]")) {
    part.textContent = lasted(Math.max(0, Math.floor((Date.now() - part.dataset.since) / 1000)));
  }
}, 1000);

// A box says what came of it also where there is no pointer to wait over it.
for (const name of ["mouseover", "focusin"]) {
  document.addEventListener(name, (event) => {
    const box = event.target.closest?.(".grid .box[aria-label]");
    const detail = box && document.querySelector("[data-detail]");
    if (detail) detail.textContent = box.getAttribute("aria-label");
  });
}

// Small forms of a live list are sent without leaving the page.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("quiet" in form.dataset)) return;
  event.preventDefault();
  notice.hidden = true;
  try {
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
    if (answer.type === "opaqueredirect") return refresh();
    if (answer.status === 401) return login();
    notice.textContent = "The server refused it.";
  } catch {
    notice.textContent = "The server does not answer.";
  }
  notice.hidden = false;
});

// The window hears of it last, when nobody else took it.
window.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  leaving = true;
  asking.abort();
  asking = new AbortController();
  // Who stopped the loading of the next page still sees this one.
  setTimeout(() => {
    leaving = false;
    refresh();
  }, 10_000);
});
window.addEventListener("pageshow", () => {
  leaving = false;
});
