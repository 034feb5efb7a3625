//! Acts on sessions, and the sessions that a caller may see.

use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::store::{self, Role, SessionInfo};
use crate::web::App;
use crate::web::caller::{Credential, Known};
use crate::web::error::ApiError;

/// The user with the sessions that the caller may see and end; none means all users.
fn owner(known: &Known) -> Result<Option<String>, ApiError> {
    match (&known.credential, known.principal.role) {
        (_, Role::Admin) => Ok(None),
        (Credential::Session { .. } | Credential::Proxy { .. }, _) => {
            Ok(Some(known.principal.actor.name.clone()))
        }
        (Credential::Local | Credential::Token { .. }, _) => Err(ApiError::Forbidden),
    }
}

/// The sessions that the caller may see.
pub(in crate::web) async fn seen(app: &App, known: &Known) -> Result<Vec<SessionInfo>, ApiError> {
    let (owner, now) = (owner(known)?, app.clock.now());
    let list = app
        .store
        .read(move |tx| store::sessions::list(tx, owner.as_deref(), now));
    Ok(list.await?)
}

/// Ends a session and closes the streams that it holds open.
pub(in crate::web) async fn delete(app: &App, known: &Known, id: i64) -> Result<(), ApiError> {
    let owner = owner(known)?;
    app.change(&known.principal.actor, move |ledger| {
        let ended = store::sessions::end(ledger, id, owner.as_deref(), ledger.now)?;
        let deed = Deed::new(Action::Removed, SubjectKind::Session, id.to_string())
            .with("user", Some(ended.user.to_string()), None)
            .with("address", Some(ended.client.address), None);
        ledger.note(&deed)
    })
    .await?;
    app.access.send_replace(());
    Ok(())
}
