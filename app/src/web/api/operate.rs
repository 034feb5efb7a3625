//! Health, readiness and the description of the API itself.

use crate::store;
use crate::web::App;
use crate::web::error::ApiError;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa::OpenApi;

/// The process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The process can do its work: the database and the engine answer.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    app.store
        .read(|tx| store::pools::list(tx).map(|_| ()))
        .await?;
    if !app.engine.is_alive().await {
        return Err(ApiError::Internal("the engine does not answer".to_owned()));
    }
    let problems = app.problems.list();
    if !problems.is_empty() {
        return Err(ApiError::NotReady(problems.join("; ")));
    }
    Ok("ready\n")
}

/// The OpenAPI document, made from the handlers.
pub(super) async fn openapi() -> Result<Response, ApiError> {
    let text = super::document::ApiDocument::openapi()
        .to_pretty_json()
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}
