//! Users and API tokens.

use crate::domain::names::{TokenName, UserName};
use crate::secrets::{random_token, token_hash};
use crate::store::{self, TokenInfo};
use crate::view::{
    NewToken, NewUser, PasswordBody, TokenBody, TokenList, TokenView, UserList, UserView,
};
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::guard::Admin;
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// All users by name.
#[utoipa::path(get, path = "/users", responses((status = 200, body = UserList)))]
pub(super) async fn list_users(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<UserList>, ApiError> {
    let accounts = app.store.read(store::accounts::users).await?;
    Ok(JsonReply(UserList {
        users: accounts.iter().map(UserView::from).collect(),
    }))
}

/// Adds a user.
#[utoipa::path(post, path = "/users", request_body = NewUser,
    responses((status = 201, body = UserView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn add_user(
    _: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, JsonReply<UserView>), ApiError> {
    let name = UserName::new(body.name)?;
    let role = body.role.parse()?;
    let hash = app.passwords.hash(body.password).await?;
    let now = app.clock.now();
    let account = app
        .store
        .write(move |tx| {
            store::accounts::add_user(tx, &name, role, &hash, now)?;
            store::accounts::user(tx, name.as_str())?.ok_or(store::StoreError::Closed)
        })
        .await?;
    Ok((StatusCode::CREATED, JsonReply(UserView::from(&account))))
}

/// Replaces a user's password and ends the user's sessions.
#[utoipa::path(put, path = "/users/{name}/password", request_body = PasswordBody,
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn set_password(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, ApiError> {
    let name = UserName::new(name)?;
    let hash = app.passwords.hash(body.password).await?;
    app.store
        .write(move |tx| store::accounts::set_password(tx, &name, &hash))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a user; the last admin stays.
#[utoipa::path(delete, path = "/users/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(super) async fn delete_user(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = UserName::new(name)?;
    app.store
        .write(move |tx| store::accounts::delete_user(tx, &name))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All API tokens by name; the tokens themselves are not kept.
#[utoipa::path(get, path = "/tokens", responses((status = 200, body = TokenList)))]
pub(super) async fn list_tokens(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<TokenList>, ApiError> {
    let tokens = app.store.read(store::accounts::tokens).await?;
    Ok(JsonReply(TokenList {
        tokens: tokens.iter().map(TokenView::from).collect(),
    }))
}

/// Makes an API token. The answer shows it this once.
#[utoipa::path(post, path = "/tokens", request_body = NewToken,
    responses((status = 201, body = TokenBody), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn add_token(
    _: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<NewToken>,
) -> Result<(StatusCode, JsonReply<TokenBody>), ApiError> {
    let info = TokenInfo {
        name: TokenName::new(body.name)?,
        role: body.role.parse()?,
        created_at: app.clock.now(),
    };
    let token = format!("lf_{}", random_token()?);
    let hash = token_hash(&token);
    let name = info.name.to_string();
    app.store
        .write(move |tx| store::accounts::add_token(tx, &info, &hash))
        .await?;
    Ok((StatusCode::CREATED, JsonReply(TokenBody { name, token })))
}

/// Revokes an API token. A stream that is open goes on until it is cut.
#[utoipa::path(delete, path = "/tokens/{name}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(super) async fn delete_token(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = TokenName::new(name)?;
    app.store
        .write(move |tx| store::accounts::delete_token(tx, &name))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
