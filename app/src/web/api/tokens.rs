//! API tokens.

use crate::store;
use crate::view::{NewToken, TokenBody, TokenList, TokenView};
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::tokens;
use axum::http::StatusCode;

/// All API tokens by name; the tokens themselves are not kept.
#[utoipa::path(get, path = "/tokens", responses((status = 200, body = TokenList)))]
pub(super) async fn list(admin: Admin) -> Result<Json<TokenList>, ApiError> {
    let stored = admin.store.read(store::tokens::list).await?;
    let tokens = stored.iter().map(TokenView::from).collect();
    Ok(Json(TokenList { tokens }))
}

/// Makes an API token. The answer shows it this once.
#[utoipa::path(post, path = "/tokens", request_body = NewToken,
    responses((status = 201, body = TokenBody), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn add(
    admin: Admin,
    Json(body): Json<NewToken>,
) -> Result<(StatusCode, Json<TokenBody>), ApiError> {
    let created = tokens::create(&admin, &body).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes an API token, and cuts the streams it holds open.
#[utoipa::path(delete, path = "/tokens/{name}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    tokens::delete(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
