//! The checks that a server makes of its own data while it already works.

use crate::engine::Change;
use crate::web::App;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// Looks at the secrets again whenever variables or channels change; never returns.
pub(super) async fn watch_secrets(app: Arc<App>) {
    let mut changes = app.engine.feed().subscribe();
    loop {
        let looked = app.problems.look_at_secrets(&app.store, &app.secrets).await;
        if let Err(error) = looked {
            tracing::warn!(%error, "the secrets cannot be checked");
        }
        loop {
            match changes.recv().await {
                Ok(Change::Variables) | Err(RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// After a crash or a power cut: looks for damage in the database while the server already works.
pub(super) async fn check_database(app: Arc<App>) {
    match app.store.check().await {
        Ok(()) => tracing::info!("the last stop was not clean; the database is undamaged"),
        Err(error) => app.problems.database(format!(
            "the database is damaged ({error}): stop the server and restore a snapshot, such as backup/lightflow.db"
        )),
    }
}
