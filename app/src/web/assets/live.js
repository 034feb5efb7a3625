// Keeps the parts marked data-live as the server sees them, and sends what buttons ask for.

const connection = document.querySelector("[data-connection]");
const notice = document.querySelector("[data-notice]");
const live = document.querySelector("[data-live]");

let asked = false;
let again = false;

async function refresh() {
  if (asked) {
    again = true;
    return;
  }
  asked = true;
  try {
    const query = live.dataset.runId ? location.search : "";
    const answer = await fetch(live.dataset.live + query);
    if (answer.redirected) {
      location.assign("/login");
    } else if (answer.ok) {
      const focused = document.activeElement?.getAttribute("href");
      live.innerHTML = await answer.text();
      // The box that had the focus was replaced by its successor.
      if (focused) live.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
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
  const events = new EventSource("/api/v1/events");
  events.addEventListener("hello", () => {
    connection.textContent = "live";
    refresh();
  });
  events.addEventListener("run", (event) => {
    if (concerns(JSON.parse(event.data))) refresh();
  });
  for (const name of ["tasks", "pools", "resync"]) events.addEventListener(name, refresh);
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
    button.disabled = true;
    send(`/api/v1/tasks/${encodeURIComponent(button.dataset.run)}/run`, {}).then(refresh);
  } else if (button?.dataset.cancel) {
    send(`/api/v1/runs/${button.dataset.cancel}/cancel`, { force: false });
  }
});
