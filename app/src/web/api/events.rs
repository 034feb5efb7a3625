//! The stream of everything that changes.

use crate::web::caller::Watcher;
use crate::web::sse;
use axum::response::{IntoResponse, Response};

/// Events: `hello` first, then `run` with the whole run whenever one changes, `tasks`,
/// `pools`, `variables` and `scripts` when one of those was changed, and `resync` when the
/// listener was too slow and should ask for everything again. A token that is for some tasks
/// only hears of the runs of these.
#[utoipa::path(get, path = "/events", responses((status = 200, content_type = "text/event-stream")))]
pub(super) async fn stream(watcher: Watcher) -> Response {
    sse::changes(watcher).into_response()
}
