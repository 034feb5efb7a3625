//! Scripts: files in the scripts folder.

use crate::domain::names::ScriptName;
use crate::scripts::{MAX_SCRIPT, ScriptInfo};
use crate::store::Role;
use crate::view::{ScriptList, ScriptRunBody, ScriptView, Triggered};
use crate::web::caller::{Admin, Viewer};
use crate::web::download::Conditions;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path, read};
use crate::web::operations::scripts;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;

fn view(info: &ScriptInfo) -> ScriptView {
    ScriptView {
        name: info.name.to_string(),
        size: info.size,
        modified_at: crate::view::rfc3339(info.modified_at),
    }
}

/// All scripts by name.
#[utoipa::path(get, path = "/scripts", responses((status = 200, body = ScriptList)))]
pub(super) async fn list(viewer: Viewer) -> Result<Json<ScriptList>, ApiError> {
    let admin = viewer.principal.role == Role::Admin;
    let (infos, others) = scripts::with_scripts(&viewer, move |scripts| {
        let others = match admin {
            true => scripts.others()?,
            false => Vec::new(),
        };
        Ok((scripts.list()?, others))
    })
    .await?;
    Ok(Json(ScriptList {
        scripts: infos.iter().map(view).collect(),
        others: others.iter().map(|other| view(&other.info)).collect(),
    }))
}

/// The bytes of a script.
#[utoipa::path(get, path = "/scripts/{name}",
    responses((status = 200, content_type = "application/octet-stream"), (status = 206, content_type = "application/octet-stream"), (status = 304), (status = 404, body = crate::view::Problem), (status = 416, body = crate::view::Problem)))]
pub(super) async fn show(
    viewer: Viewer,
    conditions: Conditions,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let bytes = scripts::read(&viewer, &ScriptName::new(name)?).await?;
    let kind = "application/octet-stream".to_owned();
    conditions.bytes(bytes, &[(header::CONTENT_TYPE, kind)])
}

/// Writes a script, new or not; at most 1 MiB.
#[utoipa::path(put, path = "/scripts/{name}", request_body(content_type = "application/octet-stream"),
    responses((status = 200, body = ScriptView), (status = 413, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn put(
    admin: Admin,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<ScriptView>, ApiError> {
    let name = ScriptName::new(name)?;
    let bytes = read(body, MAX_SCRIPT).await?;
    let info = scripts::save(&admin, name, bytes.into()).await?;
    Ok(Json(view(&info)))
}

/// Makes a script of a file that a step or a person put into the folder.
#[utoipa::path(post, path = "/scripts/{name}/adopt",
    responses((status = 200, body = ScriptView), (status = 404, body = crate::view::Problem), (status = 413, body = crate::view::Problem)))]
pub(super) async fn adopt(
    admin: Admin,
    Path(name): Path<String>,
) -> Result<Json<ScriptView>, ApiError> {
    Ok(Json(view(&scripts::adopt(&admin, &name).await?)))
}

/// Removes a script.
#[utoipa::path(delete, path = "/scripts/{name}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    scripts::delete(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs a script once, as a run of the task `scratch`. Refused with 409 while another one runs.
#[utoipa::path(post, path = "/scripts/{name}/run", request_body = ScriptRunBody,
    responses((status = 202, body = Triggered), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn run(
    admin: Admin,
    Path(name): Path<String>,
    Json(body): Json<ScriptRunBody>,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let run = scripts::run(&admin, &name, &body.args).await?.0;
    Ok((StatusCode::ACCEPTED, Json(Triggered { run })))
}
