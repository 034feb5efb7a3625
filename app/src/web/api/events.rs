//! The stream of everything that changes.

use crate::web::App;
use crate::web::guard::Viewer;
use crate::web::sse;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Events: `hello` first, then `run` with the whole run whenever one changes, `tasks`,
/// `pools`, `variables` and `scripts` when one of those was changed, and `resync` when the
/// listener was too slow and should ask for everything again.
#[utoipa::path(get, path = "/events", responses((status = 200, content_type = "text/event-stream")))]
pub(super) async fn stream(_: Viewer, State(app): State<Arc<App>>) -> Response {
    sse::changes(&app).into_response()
}
