//! The application that all handlers share: its parts, and the state of a running server.

use super::certificate::Certificates;
use super::login_limit::LoginLimit;
use super::problems::Problems;
use super::session::{Passwords, SetupLink};
use crate::config::{Proxy, Transport};
use crate::engine::{Clock, Engine, LogStore};
use crate::libraries::Libraries;
use crate::notify::Notifier;
use crate::scripts::Scripts;
use crate::secrets::SecretKey;
use crate::setting::Setting;
use crate::store::Store;
use crate::zones::Zone;
use chrono::{DateTime, Utc};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, watch};

/// The commit that this was built from, if the build named it.
pub(super) const COMMIT: &str = match option_env!("LIGHTFLOW_COMMIT") {
    Some(commit) => commit,
    None => "not told when it was built",
};

/// The parts of the application.
pub struct AppParts {
    /// Everything that survives a restart.
    pub store: Store,
    /// Everything that runs.
    pub engine: Engine,
    /// The logs of steps.
    pub logs: LogStore,
    /// The folder of scripts.
    pub scripts: Scripts,
    /// The folder of Python packages.
    pub libraries: Libraries,
    /// Seals secret variables.
    pub secrets: Arc<SecretKey>,
    /// Sends notifications.
    pub notifier: Notifier,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The zone in which pages show times, and of tasks that name none.
    pub zone: Setting<Zone>,
    /// The transport: with TLS, cookies are bound to it.
    pub transport: Transport,
    /// The trusted reverse proxies.
    pub proxy: Proxy,
    /// The link of the first start.
    pub setup: SetupLink,
    /// The certificate that is served; none where the server speaks plain HTTP.
    pub certificates: Option<Certificates>,
    /// The address for links.
    pub base_url: Setting<String>,
    /// The folder of copies of the database.
    pub backups: PathBuf,
    /// Problems of the server itself.
    pub problems: Problems,
}

/// The application as the handlers see it.
pub struct App {
    parts: AppParts,
    pub(super) started_at: DateTime<Utc>,
    pub(super) passwords: Passwords,
    pub(super) login_limit: LoginLimit,
    /// Changes whenever a session or token is revoked.
    pub(super) access: watch::Sender<()>,
    /// One copy of the database at a time.
    pub(super) snapshots: Mutex<()>,
    /// Requests with a token that is unknown or no longer valid.
    wrong_tokens: AtomicU64,
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.parts
    }
}

impl App {
    /// The application around its parts.
    pub fn new(parts: AppParts) -> Self {
        Self {
            started_at: parts.clock.now(),
            parts,
            passwords: Passwords::default(),
            login_limit: LoginLimit::default(),
            access: watch::Sender::new(()),
            snapshots: Mutex::new(()),
            wrong_tokens: AtomicU64::new(0),
        }
    }

    /// Counts a request with a wrong token, and writes a line at the first, the tenth, the hundredth and so on: enough to
    /// see an attack, and never a log full of lines.
    pub(super) fn note_wrong_token(&self, address: &str) {
        let count = self.wrong_tokens.fetch_add(1, Ordering::Relaxed) + 1;
        if count == 10_u64.pow(count.ilog10()) {
            tracing::warn!(
                count,
                address,
                "requests with a wrong token since the start"
            );
        }
    }
}
