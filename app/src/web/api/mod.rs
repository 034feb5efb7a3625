//! The JSON API under `/api/v1`, and the addresses for machines that watch the server.

mod audit;
mod certificate;
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

use super::App;
use super::error::ApiError;
use axum::Router;
use axum::routing::{delete, get, patch, post, put};
use std::sync::Arc;
use utoipa::OpenApi;

/// The OpenAPI document: its head, and every handler with its own description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lightflow",
        description = "Tasks, runs, logs, pools, variables and scripts of a Lightflow server. Errors are RFC 9457 problem details."
    ),
    servers((url = "/api/v1")),
    paths(
        tasks::list, tasks::create, tasks::show, tasks::replace, tasks::patch, tasks::delete, tasks::run,
        tasks::pause_all, tasks::resume_all,
        runs::list, runs::show, runs::remove, runs::cancel, runs::retry, runs::log, runs::log_part, runs::log_search, runs::log_stream,
        events::stream,
        pools::list, pools::create, pools::replace, pools::delete,
        variables::list, variables::show, variables::set, variables::delete,
        libraries::list, libraries::install, libraries::remove,
        scripts::list, scripts::show, scripts::put, scripts::delete, scripts::run,
        users::list, users::add, users::patch, users::set_password, users::delete, users::set_own_password,
        tokens::list, tokens::add, tokens::delete,
        sessions::list, sessions::delete,
        audit::list,
        settings::show, settings::replace,
        certificate::show, certificate::replace, certificate::renew,
        snapshots::list, snapshots::take, snapshots::download, snapshots::delete,
        notifications::list, notifications::create, notifications::show, notifications::replace,
        notifications::delete, notifications::test, notifications::deliveries,
        transfer::export, transfer::import
    ),
    components(schemas(
        crate::view::Problem,
        crate::view::LogChunk,
        crate::view::LogGap,
        crate::view::LogEnd,
        crate::view::ProgressView,
        crate::view::NoticeView
    )),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

/// The OpenAPI document as JSON.
pub(super) fn document() -> Result<serde_json::Value, ApiError> {
    serde_json::to_value(Document::openapi()).map_err(|e| ApiError::Internal(e.to_string()))
}

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

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
        .route("/scripts", get(scripts::list))
        .route(
            "/scripts/{name}",
            get(scripts::show).put(scripts::put).delete(scripts::delete),
        )
        .route("/scripts/{name}/run", post(scripts::run))
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
