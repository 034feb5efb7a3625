//! Sessions: who is logged in, from where, and the end of that.

use crate::view::{SessionList, SessionView};
use crate::web::App;
use crate::web::caller::Known;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::sessions;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// The sessions of all users, or one's own where one is no admin; the one used last first.
#[utoipa::path(get, path = "/sessions", responses((status = 200, body = SessionList)))]
pub(super) async fn list(
    known: Known,
    State(app): State<Arc<App>>,
) -> Result<Json<SessionList>, ApiError> {
    let (own, seen) = (known.session(), sessions::seen(&app, &known).await?);
    let sessions = seen.iter().map(|s| SessionView::new(s, own)).collect();
    Ok(Json(SessionList { sessions }))
}

/// Ends a session, and cuts the streams it holds open.
#[utoipa::path(delete, path = "/sessions/{id}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(super) async fn delete(
    known: Known,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    sessions::delete(&app, &known, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
