//! The web layer: HTTP API, pages and live streams. A handler reads the store or makes
//! one call of the engine; it holds no rule, no SQL and no lock.

mod api;
mod caller;
mod change;
mod channels;
mod document;
mod error;
mod extract;
mod guard;
mod log_part;
mod log_stream;
mod login;
mod login_limit;
mod pages;
mod patience;
mod peer;
mod serve;
mod session;
mod sse;

pub use serve::{Listeners, ServeError, certificate, serve};
pub use session::SetupLink;

use crate::config::{Proxy, Transport};
use crate::engine::{Clock, Engine, LogStore};
use crate::libraries::Libraries;
use crate::notify::Notifier;
use crate::scripts::Scripts;
use crate::secrets::SecretKey;
use crate::store::Store;
use axum::Router;
use chrono_tz::Tz;
use error::ApiError;
use login_limit::LoginLimit;
use session::Passwords;
use std::sync::Arc;
use tokio::sync::watch;
use tower_http::compression::CompressionLayer;

/// What the handlers work with.
pub struct App {
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
    pub zone: Tz,
    /// Whether cookies must be bound to TLS.
    pub transport: Transport,
    /// Which reverse proxy is believed.
    pub proxy: Proxy,
    /// The link of the first start.
    pub setup: SetupLink,
    passwords: Passwords,
    login_limit: LoginLimit,
    /// Changes whenever something that lets somebody in was taken away.
    access: watch::Sender<()>,
}

impl App {
    /// The application around its parts.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts are all different types and named at the one call"
    )]
    pub fn new(
        store: Store,
        engine: Engine,
        logs: LogStore,
        scripts: Scripts,
        libraries: Libraries,
        secrets: Arc<SecretKey>,
        notifier: Notifier,
        clock: Arc<dyn Clock>,
        zone: Tz,
        transport: Transport,
        proxy: Proxy,
        setup: SetupLink,
    ) -> Self {
        Self {
            store,
            engine,
            logs,
            scripts,
            libraries,
            secrets,
            notifier,
            clock,
            zone,
            transport,
            proxy,
            setup,
            passwords: Passwords::default(),
            login_limit: LoginLimit::default(),
            access: watch::Sender::new(()),
        }
    }
}

/// Every address the server knows.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .nest("/api/v1", api::routes())
        .merge(api::operations())
        .merge(pages::routes())
        .fallback(|| async { ApiError::NoRoute })
        .method_not_allowed_fallback(|method| async { ApiError::NoMethod(method) })
        // Streams of events are left alone, and what is small already.
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            guard::guard,
        ))
        .with_state(app)
}
