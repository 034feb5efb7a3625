//! Users.

use crate::store;
use crate::view::{NewUser, OwnPassword, PasswordBody, UserList, UserPatch, UserView};
use crate::web::App;
use crate::web::caller::{Admin, Person};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::login::{LoginAttempt, change_own_password};
use crate::web::operations::users;
use crate::web::peer::Peer;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// All users by name.
#[utoipa::path(get, path = "/users", responses((status = 200, body = UserList)))]
pub(super) async fn list(admin: Admin) -> Result<Json<UserList>, ApiError> {
    let accounts = admin.store.read(store::accounts::users).await?;
    let users = accounts.iter().map(UserView::from).collect();
    Ok(Json(UserList { users }))
}

/// Adds a user.
#[utoipa::path(post, path = "/users", request_body = NewUser,
    responses((status = 201, body = UserView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn add(
    admin: Admin,
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, Json<UserView>), ApiError> {
    let account = users::create(&admin, body).await?;
    Ok((StatusCode::CREATED, Json(UserView::from(&account))))
}

/// Gives a user another role; the last admin stays one.
#[utoipa::path(patch, path = "/users/{name}", request_body = UserPatch,
    responses((status = 200, body = UserView), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn patch(
    admin: Admin,
    Path(name): Path<String>,
    Json(body): Json<UserPatch>,
) -> Result<Json<UserView>, ApiError> {
    Ok(Json(users::set_role(&admin, &name, &body.role).await?))
}

/// Replaces a user's password and ends the user's sessions.
#[utoipa::path(put, path = "/users/{name}/password", request_body = PasswordBody,
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn set_password(
    admin: Admin,
    Path(name): Path<String>,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, ApiError> {
    users::set_password(&admin, &name, body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes one's own password and ends one's other sessions. Only for somebody who logged
/// in with a password; wrong present ones are slowed down as at login.
#[utoipa::path(put, path = "/account/password", request_body = OwnPassword,
    responses((status = 204), (status = 403, body = crate::view::Problem), (status = 422, body = crate::view::Problem), (status = 429, body = crate::view::Problem)))]
pub(super) async fn set_own_password(
    person: Person,
    peer: Peer,
    attempt: LoginAttempt,
    State(app): State<Arc<App>>,
    Json(body): Json<OwnPassword>,
) -> Result<StatusCode, ApiError> {
    change_own_password(&app, &person, &peer, &attempt, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a user; the last admin stays.
#[utoipa::path(delete, path = "/users/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    users::delete(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
