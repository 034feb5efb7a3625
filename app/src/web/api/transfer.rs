//! Export and import of the whole configuration.

use crate::view::ImportReport;
use crate::web::caller::{Admin, Viewer};
use crate::web::download::Conditions;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Params, read};
use crate::web::operations::transfer;
use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// Pools, variables, scripts and tasks as one TOML document; of secrets only the names.
#[utoipa::path(get, path = "/export", 
    responses((status = 200, content_type = "application/toml"), (status = 206, content_type = "application/toml"), (status = 304), (status = 416, body = crate::view::Problem)))]
pub(super) async fn export(viewer: Viewer, conditions: Conditions) -> Result<Response, ApiError> {
    let text = transfer::export(&viewer).await?;
    let kind = "application/toml".to_owned();
    conditions.bytes(text.into_bytes(), &[(header::CONTENT_TYPE, kind)])
}

/// How to import.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportParams {
    /// Say what would happen and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Adds and changes what the document holds, and removes nothing. A document with anything
/// wrong in it changes nothing.
#[utoipa::path(post, path = "/import", params(ImportParams), request_body(content_type = "application/toml"),
    responses((status = 200, body = ImportReport), (status = 422, body = crate::view::Problem)))]
pub(super) async fn import(
    admin: Admin,
    Params(params): Params<ImportParams>,
    body: Body,
) -> Result<Json<ImportReport>, ApiError> {
    let bytes = read(body, MAX_DOCUMENT).await?;
    let report = transfer::import(&admin, &bytes, params.dry_run).await?;
    Ok(Json(report))
}
