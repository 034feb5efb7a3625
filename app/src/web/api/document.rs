//! The OpenAPI document, made from the handlers and built only when a caller asks for it.

use super::{
    audit, certificate, events, libraries, notifications, pools, runs, scripts, sessions, settings,
    snapshots, tasks, tokens, transfer, users, variables,
};
use crate::web::error::ApiError;
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
pub(super) struct ApiDocument;

/// The OpenAPI document as JSON.
pub(in crate::web) fn document() -> Result<serde_json::Value, ApiError> {
    serde_json::to_value(ApiDocument::openapi()).map_err(|e| ApiError::Internal(e.to_string()))
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
