//! Every page there is, in one list.

/// A page: its name, who sees it, and where it is. `{failed}` and the like are runs of the
/// [`crate::world::World`], `{setup}` is the token of its setup link.
pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) who: Who,
    pub(crate) path: &'static str,
}

/// The viewer of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A stranger, before there is an admin.
    Stranger,
    Admin,
    Viewer,
}
use Who::{Admin, Stranger, Viewer};

/// The parts of the pages. A walk over all of them takes minutes, so each part has a walk of its own, and they go side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The overview and the tasks.
    Tasks,
    /// Runs.
    Runs,
    /// Pools and variables.
    Pools,
    /// Scripts, libraries and notifications.
    Scripts,
    /// The way in, and the settings of people: passwords, users, tokens, sessions.
    People,
    /// The settings of the server.
    Server,
}

impl Page {
    pub(crate) fn part(&self) -> Part {
        let path = self.path.trim_start_matches("/add");
        let path = path.trim_start_matches("/settings");
        let is_below = |words: &[&str]| words.iter().any(|word| path.starts_with(word));
        if path == "/" || is_below(&["/task"]) {
            Part::Tasks
        } else if is_below(&["/run"]) {
            Part::Runs
        } else if is_below(&["/pool", "/variable"]) {
            Part::Pools
        } else if is_below(&["/script", "/librar", "/notification"]) {
            Part::Scripts
        } else if is_below(&[
            "/setup", "/login", "/account", "/user", "/token", "/session",
        ]) {
            Part::People
        } else {
            Part::Server
        }
    }
}

const fn page(name: &'static str, who: Who, path: &'static str) -> Page {
    Page { name, who, path }
}

/// Every page. Strangers come first: they end when the first admin is made.
pub(crate) const PAGES: &[Page] = &[
    page("setup", Stranger, "/setup?token={setup}"),
    page("setup-wrong", Stranger, "/setup?token=wrong"),
    page("login", Stranger, "/login"),
    page("manual", Stranger, "/docs"),
    page("manual-chapter", Stranger, "/docs/worst-day"),
    page("overview", Admin, "/"),
    page("tasks", Admin, "/tasks"),
    page("tasks-none-found", Admin, "/tasks?q=nothing"),
    page("task", Admin, "/tasks/backup_immich"),
    page("task-failing", Admin, "/tasks/backup_planka"),
    page("task-new", Admin, "/add/task"),
    page("tasks-make", Admin, "/add/tasks"),
    page("task-edit", Admin, "/tasks/backup_immich/edit"),
    page("task-duplicate", Admin, "/tasks/backup_immich/duplicate"),
    page("runs", Admin, "/runs"),
    page("runs-failed", Admin, "/runs?state=failed"),
    page("run", Admin, "/runs/{good}"),
    page("run-log", Admin, "/runs/{good}?step=2"),
    page("run-failed", Admin, "/runs/{failed}"),
    page("run-running", Admin, "/runs/{running}"),
    page("run-waiting", Admin, "/runs/{waiting}"),
    page("pools", Admin, "/pools"),
    page("pool-add", Admin, "/add/pool"),
    page("pool", Admin, "/pools/backup"),
    page("variables", Admin, "/variables"),
    page("variable-add", Admin, "/add/variable"),
    page("variables-paste", Admin, "/add/variables"),
    page("variable-secret", Admin, "/variables/BACKUP_SSH_KEY"),
    page("scripts", Admin, "/scripts"),
    page("script-add", Admin, "/add/script"),
    page("script", Admin, "/scripts/backup.sh"),
    page("versions", Admin, "/scripts/backup.sh/versions"),
    page("version", Admin, "/scripts/backup.sh/versions/1"),
    page("libraries", Admin, "/libraries"),
    page("notifications", Admin, "/notifications"),
    page("notification-add", Admin, "/add/notification"),
    page("notification-mail", Admin, "/add/notification?kind=email"),
    page(
        "notification-webhook",
        Admin,
        "/add/notification?kind=webhook",
    ),
    page("notification", Admin, "/notifications/phone"),
    page("account", Admin, "/settings/account"),
    page("users", Admin, "/settings/users"),
    page("user-add", Admin, "/add/user"),
    page("user", Admin, "/settings/users/bob"),
    page("tokens", Admin, "/settings/tokens"),
    page("token-add", Admin, "/add/token"),
    page("sessions", Admin, "/settings/sessions"),
    page("audit", Admin, "/settings/audit"),
    page("server", Admin, "/settings/server"),
    page("certificate", Admin, "/settings/certificate"),
    page("snapshots", Admin, "/settings/snapshots"),
    page("api", Admin, "/settings/api"),
    page("about", Admin, "/settings/about"),
    page("not-found", Admin, "/tasks/no_such_task"),
    page("viewer-overview", Viewer, "/"),
    page("viewer-tasks", Viewer, "/tasks"),
    page("viewer-task", Viewer, "/tasks/backup_immich"),
    page("viewer-runs", Viewer, "/runs"),
    page("viewer-run", Viewer, "/runs/{running}"),
    page("viewer-pools", Viewer, "/pools"),
    page("viewer-variables", Viewer, "/variables"),
    page("viewer-scripts", Viewer, "/scripts"),
    page("viewer-script", Viewer, "/scripts/backup.sh"),
    page("viewer-version", Viewer, "/scripts/backup.sh/versions/1"),
    page("viewer-account", Viewer, "/settings/account"),
    page("viewer-sessions", Viewer, "/settings/sessions"),
    page("viewer-refused", Viewer, "/add/task"),
];
