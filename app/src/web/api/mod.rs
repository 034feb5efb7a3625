//! The JSON API under `/api/v1`, and the addresses for machines that watch the server.

mod audit;
mod certificate;
mod connection;
mod document;
mod events;
#[cfg(debug_assertions)]
mod faults;
mod libraries;
mod metrics;
mod notifications;
mod operate;
mod pools;
mod runs;
mod scripts;
mod sessions;
mod settings;
mod snapshots;
mod tasks;
mod tokens;
mod transfer;
mod users;
mod variables;

pub(super) use document::document;

use super::App;
use axum::Router;
use axum::routing::{delete, get, patch, post, put};
use std::sync::Arc;

/// The routes of the API. Their descriptions are in [`Document`], which is built only when
/// somebody asks for it; a test compares the two.
pub(super) fn routes() -> Router<Arc<App>> {
    let routes = Router::new();
    #[cfg(debug_assertions)]
    let routes = routes.merge(faults::routes());
    routes
        .route("/tasks", get(tasks::list).post(tasks::create))
        .route(
            "/tasks/{name}",
            get(tasks::show)
                .put(tasks::replace)
                .patch(tasks::patch)
                .delete(tasks::delete),
        )
        .route("/tasks/{name}/run", post(tasks::run))
        .route("/schedules/pause", post(tasks::pause_all))
        .route("/schedules/resume", post(tasks::resume_all))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::show).delete(runs::remove))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/runs/{id}/retry", post(runs::retry))
        .route("/runs/{id}/steps/{position}/log", get(runs::log))
        .route("/runs/{id}/steps/{position}/log/part", get(runs::log_part))
        .route(
            "/runs/{id}/steps/{position}/log/search",
            get(runs::log_search),
        )
        .route(
            "/runs/{id}/steps/{position}/log/stream",
            get(runs::log_stream),
        )
        .route("/events", get(events::stream))
        .route("/pools", get(pools::list).post(pools::create))
        .route("/pools/{name}", put(pools::replace).delete(pools::delete))
        .route("/variables", get(variables::list))
        .route(
            "/variables/{key}",
            get(variables::show)
                .put(variables::set)
                .delete(variables::delete),
        )
        .route("/libraries", get(libraries::list).post(libraries::install))
        .route("/libraries/{name}", delete(libraries::remove))
        .route("/connection/test", post(connection::test))
        .route("/scripts", get(scripts::list))
        .route(
            "/scripts/{name}",
            get(scripts::show).put(scripts::put).delete(scripts::delete),
        )
        .route("/scripts/{name}/run", post(scripts::run))
        .route("/scripts/{name}/adopt", post(scripts::adopt))
        .route("/users", get(users::list).post(users::add))
        .route("/users/{name}", patch(users::patch).delete(users::delete))
        .route("/users/{name}/password", put(users::set_password))
        .route("/account/password", put(users::set_own_password))
        .route("/tokens", get(tokens::list).post(tokens::add))
        .route("/tokens/{name}", delete(tokens::delete))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", delete(sessions::delete))
        .route("/audit", get(audit::list))
        .route("/settings", get(settings::show).put(settings::replace))
        .route(
            "/certificate",
            get(certificate::show).put(certificate::replace),
        )
        .route("/certificate/renew", post(certificate::renew))
        .route("/snapshots", get(snapshots::list).post(snapshots::take))
        .route(
            "/snapshots/{name}",
            get(snapshots::download).delete(snapshots::delete),
        )
        .route(
            "/channels",
            get(notifications::list).post(notifications::create),
        )
        .route(
            "/channels/{name}",
            get(notifications::show)
                .put(notifications::replace)
                .delete(notifications::delete),
        )
        .route("/channels/{name}/test", post(notifications::test))
        .route("/deliveries", get(notifications::deliveries))
        .route("/export", get(transfer::export))
        .route("/import", post(transfer::import))
        .route("/openapi.json", get(operate::openapi))
}

/// Health and metrics, outside the API's version.
pub(super) fn health_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(operate::health))
        .route("/readyz", get(operate::ready))
        .route("/metrics", get(metrics::metrics))
}
