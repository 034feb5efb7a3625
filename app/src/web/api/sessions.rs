//! Sessions: who is logged in, from where, and the end of that.

use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::store::{self, Role, SessionInfo};
use crate::view::{SessionList, SessionView};
use crate::web::App;
use crate::web::caller::{Credential, Known};
use crate::web::error::ApiError;
use crate::web::extract::Path;
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// Whose sessions somebody may see and end: an admin those of all, a viewer the own ones.
fn whose(known: &Known) -> Result<Option<String>, ApiError> {
    match (&known.credential, known.principal.role) {
        (_, Role::Admin) => Ok(None),
        (Credential::Session { .. } | Credential::Proxy { .. }, _) => {
            Ok(Some(known.principal.actor.name.clone()))
        }
        (Credential::Local | Credential::Token { .. }, _) => Err(ApiError::Forbidden),
    }
}

/// The sessions that somebody may see.
pub(in crate::web) async fn seen(app: &App, known: &Known) -> Result<Vec<SessionInfo>, ApiError> {
    let (whose, now) = (whose(known)?, app.clock.now());
    let list =
        move |tx: &rusqlite::Transaction<'_>| store::sessions::list(tx, whose.as_deref(), now);
    Ok(app.store.read(list).await?)
}

/// The sessions of all users, or one's own where one is no admin; the one used last first.
#[utoipa::path(get, path = "/sessions", responses((status = 200, body = SessionList)))]
pub(in crate::web) async fn list(
    known: Known,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<SessionList>, ApiError> {
    let own = match known.credential {
        Credential::Session { id, .. } => Some(id),
        _ => None,
    };
    let sessions = seen(&app, &known).await?;
    Ok(JsonReply(SessionList {
        sessions: sessions.iter().map(|s| SessionView::new(s, own)).collect(),
    }))
}

/// Ends a session, and cuts the streams it holds open.
#[utoipa::path(delete, path = "/sessions/{id}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    known: Known,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    let whose = whose(&known)?;
    app.change(&known.principal.actor, move |ledger| {
        let ended = store::sessions::end(ledger, id, whose.as_deref(), ledger.now)?;
        let deed = Deed::new(Action::Removed, SubjectKind::Session, id.to_string())
            .with("user", Some(ended.user.to_string()), None)
            .with("address", Some(ended.client.address), None);
        ledger.note(&deed)
    })
    .await?;
    app.access.send_replace(());
    Ok(StatusCode::NO_CONTENT)
}
