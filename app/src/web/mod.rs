//! The web layer: HTTP API, pages and live streams. A handler reads the store or makes
//! one call of the engine; it holds no rule, no SQL and no lock.

mod api;
mod audit_query;
mod boundary;
mod caller;
mod certificate;
mod change;
mod error;
mod extract;
mod guard;
mod log_part;
mod log_stream;
mod login;
mod login_limit;
mod operations;
mod pages;
mod patience;
mod peer;
mod serve;
mod session;
mod sse;
mod x509;

pub use certificate::Certificates;
pub use serve::{Listeners, ServeError, serve};
pub use session::SetupLink;
pub use x509::CertificateError;

use crate::config::{Proxy, Transport};
use crate::domain::audit::Actor;
use crate::engine::{Clock, Engine, LogStore};
use crate::libraries::Libraries;
use crate::notify::Notifier;
use crate::scripts::Scripts;
use crate::secrets::SecretKey;
use crate::setting::Setting;
use crate::store::Store;
use axum::Router;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use error::ApiError;
use login_limit::LoginLimit;
use session::Passwords;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use tower_http::compression::CompressionLayer;

/// The commit that this was built from, where whoever built it said so.
const COMMIT: &str = match option_env!("LIGHTFLOW_COMMIT") {
    Some(commit) => commit,
    None => "not told when it was built",
};

/// What the application is built from.
pub struct AppParts {
    /// Everything that survives a restart.
    pub store: Store,
    /// Everything that runs.
    pub engine: Engine,
    /// What steps printed.
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
    pub zone: Setting<Tz>,
    /// Whether cookies must be bound to TLS.
    pub transport: Transport,
    /// Which reverse proxy is believed.
    pub proxy: Proxy,
    /// The link of the first start.
    pub setup: SetupLink,
    /// The certificate that is served; none where the server speaks plain HTTP.
    pub certificates: Option<Certificates>,
    /// The address for links.
    pub base_url: Setting<String>,
    /// The folder of copies of the database.
    pub backups: PathBuf,
}

/// What the handlers work with.
pub struct App {
    parts: AppParts,
    started_at: DateTime<Utc>,
    passwords: Passwords,
    login_limit: LoginLimit,
    /// Changes whenever something that lets somebody in was taken away.
    access: watch::Sender<()>,
    /// One copy of the database at a time.
    snapshots: Mutex<()>,
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
        }
    }
}

/// Renews the certificate of our own making before it ends, for ever; sleeps in between.
pub async fn renew_in_time(app: Arc<App>) {
    let Some(certificates) = app.certificates.clone() else {
        return;
    };
    loop {
        let now = app.clock.now();
        match certificates.renewal() {
            // One that an admin brought; another one may come.
            None => certificates.changed().await,
            Some(due) if due > now => tokio::select! {
                () = app.clock.alarm(due) => {}
                () = certificates.changed() => {}
            },
            Some(_) => {
                let actor = Actor::server();
                match operations::certificate::renew(&app, &actor).await {
                    Ok(new) => {
                        tracing::info!(until = %new.until, "the self-signed certificate was renewed");
                    }
                    Err(error) => {
                        tracing::error!(%error, "cannot renew the certificate; trying again tomorrow");
                        app.clock.alarm(now + chrono::TimeDelta::days(1)).await;
                    }
                }
            }
        }
    }
}

/// Every address the server knows.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .nest("/api/v1", api::routes())
        .merge(api::health_routes())
        .merge(pages::routes())
        .fallback(|| async { ApiError::NoRoute })
        .method_not_allowed_fallback(|method| async { ApiError::NoMethod(method) })
        // Inside of the compression, which polls a finished body again; and around the other layers.
        .layer(axum::middleware::from_fn(boundary::boundary))
        // Streams of events are left alone, and small answers.
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            guard::guard,
        ))
        .layer(axum::middleware::from_fn(boundary::boundary))
        .with_state(app)
}
