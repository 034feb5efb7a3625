//! Settings of the server.

use crate::view::SettingsBody;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Json;
use crate::web::operations::settings;

/// What admins set; what is absent is as the environment or the program says.
#[utoipa::path(get, path = "/settings", responses((status = 200, body = SettingsBody)))]
pub(super) async fn show(admin: Admin) -> Result<Json<SettingsBody>, ApiError> {
    Ok(Json(settings::get(&admin).await?))
}

/// Replaces the settings. With another zone, tasks that name none fire by it from now on.
#[utoipa::path(put, path = "/settings", request_body = SettingsBody,
    responses((status = 200, body = SettingsBody), (status = 422, body = crate::view::Problem)))]
pub(super) async fn replace(
    admin: Admin,
    Json(body): Json<SettingsBody>,
) -> Result<Json<SettingsBody>, ApiError> {
    Ok(Json(settings::replace(&admin, &body).await?))
}
