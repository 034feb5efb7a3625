//! Scripts: files in the scripts folder.

use crate::domain::names::ScriptName;
use crate::engine::Change;
use crate::scripts::{MAX_SCRIPT, ScriptInfo};
use crate::view::{ScriptList, ScriptView};
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::extract::{Path, read};
use crate::web::guard::{Admin, Viewer};
use axum::Json as JsonReply;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

fn view(info: &ScriptInfo) -> ScriptView {
    ScriptView {
        name: info.name.to_string(),
        size: info.size,
        modified_at: crate::view::rfc3339(info.modified_at),
    }
}

fn missing(name: &ScriptName) -> ApiError {
    ApiError::NotFound(format!("script {:?}", name.as_str()))
}

pub(in crate::web) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?
        .map_err(ApiError::from)
}

/// All scripts by name.
#[utoipa::path(get, path = "/scripts", responses((status = 200, body = ScriptList)))]
pub(in crate::web) async fn list(
    _: Viewer,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<ScriptList>, ApiError> {
    let scripts = app.scripts.clone();
    let infos = blocking(move || scripts.list()).await?;
    Ok(JsonReply(ScriptList {
        scripts: infos.iter().map(view).collect(),
    }))
}

/// The bytes of a script.
#[utoipa::path(get, path = "/scripts/{name}",
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn show(
    _: Viewer,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let name = ScriptName::new(name)?;
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    let bytes = blocking(move || scripts.read(&wanted)).await?;
    let bytes = bytes.ok_or_else(|| missing(&name))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// Writes a script, new or not; at most 1 MiB.
#[utoipa::path(put, path = "/scripts/{name}", request_body(content_type = "application/octet-stream"),
    responses((status = 200, body = ScriptView), (status = 413, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn put(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<JsonReply<ScriptView>, ApiError> {
    let name = ScriptName::new(name)?;
    let bytes = read(body, MAX_SCRIPT).await?;
    let scripts = app.scripts.clone();
    let written = name.clone();
    let infos = blocking(move || {
        scripts.write(&written, &bytes)?;
        scripts.list()
    })
    .await?;
    app.engine.feed().publish(Change::Scripts);
    let info = infos.iter().find(|info| info.name == name);
    Ok(JsonReply(view(info.ok_or_else(|| missing(&name))?)))
}

/// Removes a script.
#[utoipa::path(delete, path = "/scripts/{name}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = ScriptName::new(name)?;
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    if !blocking(move || scripts.remove(&wanted)).await? {
        return Err(missing(&name));
    }
    app.engine.feed().publish(Change::Scripts);
    Ok(StatusCode::NO_CONTENT)
}
