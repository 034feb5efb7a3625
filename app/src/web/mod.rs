//! The web layer: HTTP API, pages and live streams. A handler reads the store or makes
//! one call of the engine; it holds no rule, no SQL and no lock.

mod api;
mod app;
mod audit_query;
mod boundary;
mod caller;
mod certificate;
mod change;
mod download;
mod error;
mod etag;
mod extract;
mod guard;
mod log_download;
mod log_part;
mod log_stream;
mod log_text;
mod login;
mod login_limit;
mod operations;
mod pages;
mod patience;
mod peer;
mod problems;
mod run_query;
mod serve;
mod session;
mod sse;
mod x509;

pub use app::{App, AppParts};
pub use certificate::Certificates;
pub use problems::{Problems, lost_database};
pub use serve::{Listeners, ServeError, serve};
pub use session::SetupLink;
pub use x509::CertificateError;

use crate::domain::audit::Actor;
use crate::engine::Change;
use crate::store;
use app::COMMIT;
use axum::Router;
use error::ApiError;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

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

/// Makes scripts of the files that an older version left, and that a step of a task executes.
pub async fn adopt_former_scripts(app: &App) {
    if let Err(error) = operations::scripts::adopt_former(app).await {
        tracing::warn!(%error, "the scripts of an older version are not looked at; the next start tries again");
    }
}

/// Resumes paused tasks when their pause is over, for ever; sleeps in between.
pub async fn resume_in_time(app: Arc<App>) {
    loop {
        let mut changes = app.engine.feed().subscribe();
        let due = match app.store.read(store::pauses::pause_ends).await {
            Ok(ends) => ends.into_values().min(),
            Err(error) => {
                tracing::error!(%error, "cannot read the ends of pauses; trying again in an hour");
                app.clock
                    .alarm(app.clock.now() + chrono::TimeDelta::hours(1))
                    .await;
                continue;
            }
        };
        match due {
            Some(due) if due <= app.clock.now() => {
                match operations::tasks::resume_due(&app).await {
                    Ok(tasks) => {
                        tracing::info!(tasks, "the pause is over; the schedules are followed again")
                    }
                    Err(error) => {
                        tracing::error!(%error, "cannot end a pause; trying again in a minute");
                        app.clock
                            .alarm(app.clock.now() + chrono::TimeDelta::minutes(1))
                            .await;
                    }
                }
            }
            Some(due) => tokio::select! {
                () = app.clock.alarm(due) => {}
                () = tasks_changed(&mut changes) => {}
            },
            None => tasks_changed(&mut changes).await,
        }
    }
}

/// Waits until tasks were changed.
async fn tasks_changed(changes: &mut broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Tasks) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The engine ended, and the process with it.
            Err(RecvError::Closed) => std::future::pending().await,
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
        // Streams of events are left alone, small answers, and files: a client continues a broken download at its offset.
        .layer(CompressionLayer::new().compress_when(
            DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream")),
        ))
        .layer(axum::middleware::map_response(download::weaken))
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            guard::guard,
        ))
        .layer(axum::middleware::from_fn(pages::for_browsers))
        .layer(axum::middleware::from_fn(boundary::boundary))
        .with_state(app)
}
