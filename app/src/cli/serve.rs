//! `lightflow serve`: puts the layers together and runs until it is told to stop.

use super::data_folder::{lock, make_folders};
use super::readiness::{Manager, State};
use super::self_check::{check_database, watch_secrets, watch_writes};
use super::upkeep::Upkeep;
use super::web_thread::WebThread;
use crate::config::{CA_BUNDLE, Config, Transport};
use crate::engine::{
    Clock, Engine, Folders, LogStore, Parts, RunSecrets, Supervisors, SystemClock,
};
use crate::libraries::Libraries;
use crate::notify::{self, Notifier};
use crate::panics::{install_hook, restarted};
use crate::scripts::Scripts;
use crate::secrets::SecretKey;
use crate::setting::Setting;
use crate::store::{self, Store};
use crate::web::{
    self, App, AppParts, Certificates, Listeners, Problems, SetupLink, lost_database,
};
use crate::zones;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use nix::fcntl::Flock;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Run the server: schedules, steps, API and web pages
#[derive(Debug, Args)]
#[command(after_help = "Environment:\n  \
             LIGHTFLOW_DATA_DIR    where everything lies (default /data)\n  \
             LIGHTFLOW_LISTEN      address and port (default 0.0.0.0:8443), or\n                        \
             unix:/PATH, a socket for a reverse proxy\n  \
             LIGHTFLOW_TLS         on, or off for plain HTTP behind a proxy\n  \
             LIGHTFLOW_TRUSTED_PROXY\n                        \
             proxies whose X-Forwarded-For and -Proto are believed:\n                        \
             addresses, ranges, or unix for the socket (default none)\n  \
             LIGHTFLOW_PROXY_USER_HEADER\n                        \
             header in which they name the user, such as Remote-User\n  \
             LIGHTFLOW_TZ, TZ      zone of tasks that name none (default UTC)\n  \
             TZDIR                 folder of the zone data (default /usr/share/zoneinfo)
  \
             LIGHTFLOW_BASE_URL    address under which people reach the server\n  \
             LIGHTFLOW_KILL_GRACE  seconds between TERM and KILL (default 10)\n  \
             LIGHTFLOW_LOG_LIMIT   bytes kept of one step's log (default 64 MiB)\n  \
             LIGHTFLOW_LOG         what is logged, such as info or debug\n  \
             SSL_CERT_FILE         certificates trusted when notifications are sent,\n                        \
             beside the authorities of the system")]
pub struct Serve {
    /// Listen there instead of LIGHTFLOW_LISTEN
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Speak plain HTTP, as LIGHTFLOW_TLS=off does
    #[arg(long)]
    plain_http: bool,
}

/// Runs the server; returns when it was told to stop.
pub fn run(serve: &Serve, data: Option<&Path>) -> ExitCode {
    super::init::listen();
    close_inherited();
    raise_descriptor_limit();
    forbid_core_dumps();
    let logging = start_logging();
    let config = logging.and_then(|()| Config::from_env(|key| std::env::var(key).ok()));
    let config = config.and_then(|mut config| {
        if let Some(data) = data {
            config.data = data.to_owned();
        }
        if let Some(address) = &serve.listen {
            config.listen = crate::config::listen(address)?;
        }
        if serve.plain_http {
            config.transport = Transport::Plain;
        }
        Ok(config)
    });
    let served = config.and_then(|config| {
        runtime()?.block_on(async {
            let server = Server::start(config).await?;
            server.until_told_to_stop().await;
            Ok(())
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Written also where the log is off.
            tracing::error!(target: ALWAYS, "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Closes the descriptors that our parent left open, or every step would inherit them.
fn close_inherited() {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // One of them belonged to the listing itself and is gone by now.
        let _ = nix::unistd::close(fd);
    }
}

/// Raises the limit of descriptors to the maximum; each connection needs one.
fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without it there is room for fewer connections.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Keeps the memory of the server, with its secrets, out of core dumps and away from other programs of its user.
fn forbid_core_dumps() {
    // Neither fails: a limit may always be lowered, and the flag exists since Linux 2.4 (prctl(2)).
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// An event loop: the engine has one and the web server another. Files and hashes have threads of their own, see [`crate::blocking`].
///
/// # Errors
/// Where the system gives no event queue.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// The target of lines that every level of the log lets through.
const ALWAYS: &str = "lightflow::always";

/// Writes the log, panics included, to standard error, in colour only for people. `LIGHTFLOW_LOG` is a
/// level, or levels by module, for example `info,lightflow::engine=debug`.
///
/// # Errors
/// A text that is neither; the log then has the level `info`.
pub fn start_logging() -> Result<()> {
    let wanted = std::env::var("LIGHTFLOW_LOG").unwrap_or_default();
    let (filter, result) = match log_filter(&wanted) {
        Ok(filter) => (filter, Ok(())),
        Err(error) => (Targets::new().with_default(LevelFilter::INFO), Err(error)),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(filter.with_target(ALWAYS, LevelFilter::INFO));
    // Fails only where a log is set up already, as in a test.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    install_hook();
    result
}

/// Reads `LIGHTFLOW_LOG`. A word that is no level would be taken for a module, and everything else would be silent.
fn log_filter(wanted: &str) -> Result<Targets> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Ok(Targets::new().with_default(LevelFilter::INFO));
    }
    let refused = || {
        anyhow!(
            "LIGHTFLOW_LOG is {wanted:?}; use error, warn, info, debug, trace or off, or levels by module, for example info,lightflow::engine=debug"
        )
    };
    for part in wanted.split(',') {
        let level = part.split_once('=').map_or(part, |(_, level)| level);
        level.trim().parse::<LevelFilter>().map_err(|_| refused())?;
    }
    wanted.parse().map_err(|_| refused())
}

/// A server that runs.
pub struct Server {
    engine: Engine,
    store: Store,
    url: String,
    setup_url: Option<String>,
    web: WebThread,
    term: Signal,
    interrupt: Signal,
    _lock: Flock<File>,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// Every obstacle, with its remedy.
    pub async fn start(config: Config) -> Result<Self> {
        Self::start_with_clock(config, Arc::new(SystemClock)).await
    }

    /// Starts a server that takes its time from `clock`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with_clock(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        // First, so that a signal that comes during the start ends the server in order.
        let term = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        // Database, logs and key are private; a script gets its mode by itself.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
        make_folders(&config.data)?;
        let lock = lock(&config.data)?;
        let database = config.data.join("lightflow.db");
        // A clean stop empties the write-ahead log; a log with content is from a crash or a power cut.
        let unclean = fs::metadata(config.data.join("lightflow.db-wal")).is_ok_and(|m| m.len() > 0);
        let has_key = config.data.join("secret.key").is_file();
        let store = Store::open(&database)?;
        let secrets = Arc::new(SecretKey::load_or_create(&config.data.join("secret.key"))?);
        let host = host_name();
        let certificates = match config.transport {
            Transport::Tls => {
                let folder = config.data.join("tls");
                Some(Certificates::open(&folder, &host, clock.now())?)
            }
            Transport::Plain => None,
        };
        let tls = certificates.as_ref().map(Certificates::tls).transpose()?;
        let settings = store.read(store::settings::get).await?;
        let zone = Setting::new(config.zone, settings.zone);
        let listeners = Listeners::open(&config.listen, &config.socket()).await?;
        let address = listeners.address();

        let folders = Folders::new(&config.data);
        let libraries = Libraries::new(config.data.join("python-libs"));
        let scripts = Scripts::new(folders.scripts.clone(), config.data.join("script-versions"));
        let logs = LogStore::new(config.data.join("logs"), config.log_limit);
        let problems = Problems::default();
        if logs.has_logs() {
            let traces: &[&str] = match has_key {
                true => &["a secret.key", "logs of runs"],
                false => &["logs of runs"],
            };
            let last = store.read(store::runs::last_id).await?;
            if let Some(problem) = lost_database(last, traces) {
                problems.database(problem);
            }
        }
        let engine = Engine::start(Parts {
            store: store.clone(),
            secrets: secrets.clone(),
            run_secrets: RunSecrets::default(),
            clock: clock.clone(),
            logs: logs.clone(),
            folders,
            libraries: libraries.clone(),
            zone: zone.clone(),
            supervisors: Supervisors::new(config.supervisor.clone(), &config.data),
            grace: config.grace,
        })
        .await?;

        let usual = base_url(&config, address, &host);
        let base_url = Setting::new(usual.clone(), settings.base_url);
        let base = base_url.get();
        let notifier = Notifier::start(notify::NotifierParts {
            store: store.clone(),
            secrets: secrets.clone(),
            clock: clock.clone(),
            feed: engine.feed().clone(),
            zone: zone.clone(),
            base_url: base_url.clone(),
            authorities: notify::Authorities {
                system: CA_BUNDLE.into(),
                named: config.certificates.clone(),
            },
        });
        let (setup, setup_url) = setup_link(&store, &base).await?;
        let kept = store.clone();
        let app = Arc::new(App::new(AppParts {
            store,
            engine: engine.clone(),
            logs,
            scripts,
            libraries,
            secrets,
            notifier,
            clock,
            zone,
            transport: config.transport,
            proxy: config.proxy.clone(),
            setup,
            certificates,
            base_url,
            backups: config.data.join("backup"),
            problems,
        }));
        web::adopt_former_scripts(&app).await;
        if unclean {
            tokio::spawn(check_database(app.clone()));
        }
        let watched = app.clone();
        tokio::spawn(restarted("check of the secrets", move || {
            watch_secrets(watched.clone())
        }));
        let watched = app.clone();
        tokio::spawn(restarted("check of the database", move || {
            watch_writes(watched.clone())
        }));
        let renewed = app.clone();
        tokio::spawn(restarted("renewal of the certificate", move || {
            web::renew_in_time(renewed.clone())
        }));
        let resumed = app.clone();
        tokio::spawn(restarted("end of pauses", move || {
            web::resume_in_time(resumed.clone())
        }));
        let upkeep = Upkeep {
            clock: app.clock.clone(),
            engine: engine.clone(),
            store: app.store.clone(),
            logs: app.logs.clone(),
        };
        tokio::spawn(restarted("daily upkeep", move || upkeep.clone().follow()));
        tracing::info!("time zones: {}", zones::source());
        let zone_name = app.zone.get().name();
        let router = web::router(app);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), data = %config.data.display(), zone = zone_name, "lightflow serves {usual}");
        if let Some(url) = &setup_url {
            tracing::info!(target: ALWAYS, "no user exists yet; create the first admin with this link, which works once: {url}");
        }
        Ok(Self {
            engine,
            store: kept,
            url: base,
            setup_url,
            web: WebThread::start(runtime()?, async move {
                let serve = || web::serve(&listeners, tls.clone(), router.clone());
                restarted("web server", serve).await;
            })?,
            term,
            interrupt,
            _lock: lock,
        })
    }

    /// The address under which people reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The link by which the first admin is made; none where there is one.
    pub fn setup_url(&self) -> Option<&str> {
        self.setup_url.as_deref()
    }

    /// Tells a service manager that it serves, waits for SIGTERM or SIGINT, then stops the steps. A run that was going
    /// on is taken up by the next start, `always` steps first.
    pub async fn until_told_to_stop(mut self) {
        let manager = Manager::from_env();
        manager.tell(State::Ready);
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("stopping");
        manager.tell(State::Stopping);
        self.stop().await;
    }

    /// Stops the steps and the server.
    pub async fn stop(self) {
        self.engine.shutdown().await;
        drop(self.web);
        if let Err(error) = self.store.checkpoint().await {
            tracing::warn!(%error, "the log of changes stays beside the database; the next start reads it");
        }
    }
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default()
}

fn base_url(config: &Config, address: Option<SocketAddr>, host: &str) -> String {
    if let Some(url) = &config.base_url {
        return url.clone();
    }
    let Some(address) = address else {
        // The proxy's own address is for people; until it is set, its machine must do.
        return format!("https://{host}");
    };
    let scheme = match config.transport {
        Transport::Tls => "https",
        Transport::Plain => "http",
    };
    if address.ip().is_unspecified() {
        let host = if host.is_empty() { "localhost" } else { host };
        format!("{scheme}://{host}:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}

async fn setup_link(store: &Store, base: &str) -> Result<(SetupLink, Option<String>)> {
    if !store.read(store::accounts::nobody).await? {
        return Ok((SetupLink::none(), None));
    }
    let (link, token) = SetupLink::new()?;
    Ok((link, Some(format!("{base}/setup?token={token}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_level_is_refused() {
        for good in [
            "",
            "warn",
            "OFF",
            "info,lightflow::engine=debug",
            "lightflow=trace",
        ] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        for bad in ["inof", "info,debgu", "lightflow::engine=loud", "warn;"] {
            let error = log_filter(bad).unwrap_err().to_string();
            assert!(error.contains("LIGHTFLOW_LOG"), "{error}");
        }
    }
}
