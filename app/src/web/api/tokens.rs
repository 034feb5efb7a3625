//! API tokens.

use crate::domain::audit::SubjectKind;
use crate::domain::field::FieldError;
use crate::domain::names::TokenName;
use crate::secrets::{random_token, token_hash};
use crate::store::{self, StoreError};
use crate::view::{NewToken, TokenBody, TokenList, TokenView};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// All API tokens by name; the tokens themselves are not kept.
#[utoipa::path(get, path = "/tokens", responses((status = 200, body = TokenList)))]
pub(in crate::web) async fn list(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<TokenList>, ApiError> {
    let tokens = app.store.read(store::tokens::list).await?;
    Ok(JsonReply(TokenList {
        tokens: tokens.iter().map(TokenView::from).collect(),
    }))
}

/// Makes an API token. The answer shows it this once.
#[utoipa::path(post, path = "/tokens", request_body = NewToken,
    responses((status = 201, body = TokenBody), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn add(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<NewToken>,
) -> Result<(StatusCode, JsonReply<TokenBody>), ApiError> {
    let info = body.check(app.clock.now())?;
    let token = format!("lf_{}", random_token()?);
    let hash = token_hash(&token);
    let name = info.name.to_string();
    let added = app
        .change(admin.actor(), move |ledger| {
            store::tokens::add(ledger, &info, &hash)?;
            let view = TokenView::from(&info);
            ledger.compare(SubjectKind::Token, info.name.as_str(), None, Some(&view))
        })
        .await;
    match added {
        Err(ApiError::Store(error @ StoreError::NotFound { what: "task", .. })) => {
            Err(FieldError::new("tasks", error.to_string()).into())
        }
        Err(other) => Err(other),
        Ok(()) => Ok((StatusCode::CREATED, JsonReply(TokenBody { name, token }))),
    }
}

/// Revokes an API token, and cuts the streams it holds open.
#[utoipa::path(delete, path = "/tokens/{name}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = TokenName::new(name)?;
    app.change(admin.actor(), move |ledger| {
        let gone = TokenView::from(&store::tokens::delete(ledger, &name)?);
        ledger.compare(SubjectKind::Token, name.as_str(), Some(&gone), None)
    })
    .await?;
    app.access.send_replace(());
    Ok(StatusCode::NO_CONTENT)
}
