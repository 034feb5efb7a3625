//! The audit trail. Only admins read it: it holds addresses, and earlier values of settings.

use crate::view::AuditList;
use crate::web::audit_query::AuditParams;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Params};

/// Who changed what, newest first.
#[utoipa::path(get, path = "/audit", params(AuditParams),
    responses((status = 200, body = AuditList), (status = 422, body = crate::view::Problem)))]
pub(super) async fn list(
    admin: Admin,
    Params(params): Params<AuditParams>,
) -> Result<Json<AuditList>, ApiError> {
    Ok(Json(params.entries(&admin).await?))
}
