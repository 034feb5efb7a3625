//! Variables. A secret value goes in and never comes out.

use crate::domain::names::VariableKey;
use crate::store::{self, StoredVariable};
use crate::view::{VariableBody, VariableList, VariableView};
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::etag::{self, Expected, Tagged};
use crate::web::extract::{Json, Path};
use crate::web::operations::variables;
use axum::http::{StatusCode, header};

/// All variables by key.
#[utoipa::path(get, path = "/variables", responses((status = 200, body = VariableList)))]
pub(super) async fn list(viewer: Viewer) -> Result<Json<VariableList>, ApiError> {
    let stored = viewer.store.read(store::variables::list).await?;
    let variables = stored.iter().map(VariableView::from).collect();
    Ok(Json(VariableList { variables }))
}

/// A variable with its tag.
fn tagged(stored: &StoredVariable) -> Tagged<VariableView> {
    (
        [(header::ETAG, etag::of_variable(stored))],
        Json(VariableView::from(stored)),
    )
}

/// One variable. The header `ETag` names its version.
#[utoipa::path(get, path = "/variables/{key}", responses((status = 200, body = VariableView, headers(("ETag" = String, description = "the version"))), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Tagged<VariableView>, ApiError> {
    let key = VariableKey::new(key)?;
    let get = viewer.store.read(move |tx| store::variables::get(tx, &key));
    Ok(tagged(&get.await?))
}

/// Sets a variable, new or not. Steps that start from now on see it. With the header `If-Match` only that version is
/// replaced.
#[utoipa::path(put, path = "/variables/{key}", request_body = VariableBody, params(("If-Match" = Option<String>, Header, description = "the ETag of the version to change")),
    responses((status = 200, body = VariableView, headers(("ETag" = String, description = "the version"))), (status = 412, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn set(
    admin: Admin,
    Path(key): Path<String>,
    expected: Expected,
    Json(body): Json<VariableBody>,
) -> Result<Tagged<VariableView>, ApiError> {
    Ok(tagged(&variables::set(&admin, &key, body, expected).await?))
}

/// Removes a variable. With the header `If-Match` only that version is removed.
#[utoipa::path(delete, path = "/variables/{key}", params(("If-Match" = Option<String>, Header, description = "the ETag of the version to remove")),
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 412, body = crate::view::Problem)))]
pub(super) async fn delete(
    admin: Admin,
    Path(key): Path<String>,
    expected: Expected,
) -> Result<StatusCode, ApiError> {
    variables::delete(&admin, &key, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
