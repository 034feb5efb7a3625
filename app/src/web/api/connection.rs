//! The test of the connection to the gate.

use crate::view::Triggered;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Json;
use crate::web::operations::connection;
use axum::http::StatusCode;

/// Sends `backupctl --list` to `BACKUP_HOST` with the configured key, as a run. The run succeeds when the gate refuses the
/// request.
#[utoipa::path(post, path = "/connection/test",
    responses((status = 202, body = Triggered), (status = 409, body = crate::view::Problem)))]
pub(super) async fn test(admin: Admin) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let run = connection::test(&admin).await?.0;
    Ok((StatusCode::ACCEPTED, Json(Triggered { run })))
}
