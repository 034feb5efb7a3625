//! Variables. A secret value goes in and never comes out.

use crate::domain::names::VariableKey;
use crate::store;
use crate::view::{VariableBody, VariableList, VariableView};
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::variables;
use axum::http::StatusCode;

/// All variables by key.
#[utoipa::path(get, path = "/variables", responses((status = 200, body = VariableList)))]
pub(super) async fn list(viewer: Viewer) -> Result<Json<VariableList>, ApiError> {
    let stored = viewer.store.read(store::variables::list).await?;
    let variables = stored.iter().map(VariableView::from).collect();
    Ok(Json(VariableList { variables }))
}

/// One variable.
#[utoipa::path(get, path = "/variables/{key}", responses((status = 200, body = VariableView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<VariableView>, ApiError> {
    let key = VariableKey::new(key)?;
    let get = viewer.store.read(move |tx| store::variables::get(tx, &key));
    Ok(Json(VariableView::from(&get.await?)))
}

/// Sets a variable, new or not. Steps that start from now on see it.
#[utoipa::path(put, path = "/variables/{key}", request_body = VariableBody,
    responses((status = 200, body = VariableView), (status = 422, body = crate::view::Problem)))]
pub(super) async fn set(
    admin: Admin,
    Path(key): Path<String>,
    Json(body): Json<VariableBody>,
) -> Result<Json<VariableView>, ApiError> {
    Ok(Json(variables::set(&admin, &key, body).await?))
}

/// Removes a variable.
#[utoipa::path(delete, path = "/variables/{key}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(key): Path<String>) -> Result<StatusCode, ApiError> {
    variables::delete(&admin, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
