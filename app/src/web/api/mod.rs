//! The JSON API under `/api/v1`, and the addresses for machines that watch the server.

mod accounts;
mod events;
mod operate;
mod pools;
mod runs;
mod scripts;
mod tasks;
mod transfer;
mod variables;

pub(super) use variables::seal;

use super::App;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The head of the OpenAPI document; the rest comes from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lightflow",
        description = "Tasks, runs, logs, pools, variables and scripts of a Lightflow server. Errors are RFC 9457 problem details."
    ),
    servers((url = "/api/v1")),
    components(schemas(
        crate::view::Problem,
        crate::view::LogChunk,
        crate::view::LogGap,
        crate::view::LogEnd
    )),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

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

/// The routes of the API with their descriptions.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(
            tasks::show,
            tasks::replace,
            tasks::patch,
            tasks::delete
        ))
        .routes(routes!(tasks::run))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::log))
        .routes(routes!(runs::log_stream))
        .routes(routes!(events::stream))
        .routes(routes!(pools::list, pools::create))
        .routes(routes!(pools::replace, pools::delete))
        .routes(routes!(variables::list))
        .routes(routes!(variables::show, variables::set, variables::delete))
        .routes(routes!(scripts::list))
        .routes(routes!(scripts::show, scripts::put, scripts::delete))
        .routes(routes!(accounts::list_users, accounts::add_user))
        .routes(routes!(accounts::set_password))
        .routes(routes!(accounts::delete_user))
        .routes(routes!(accounts::list_tokens, accounts::add_token))
        .routes(routes!(accounts::delete_token))
        .routes(routes!(transfer::export))
        .routes(routes!(transfer::import))
        .route("/openapi.json", get(operate::openapi))
}

/// Health and metrics, outside the API's version.
pub(super) fn operations() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(operate::health))
        .route("/readyz", get(operate::ready))
        .route("/metrics", get(operate::metrics))
}
