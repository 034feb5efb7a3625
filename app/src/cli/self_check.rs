//! The checks that a server makes of its own data while it already works.

use crate::domain::channel::Occasion;
use crate::engine::Change;
use crate::web::App;
use std::sync::Arc;
use std::time::Duration;
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

/// Pause between two tries to write a database that cannot be written.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Tells when the database cannot be written, and tries again until it can; never returns. Without a problem it sleeps.
pub(super) async fn watch_writes(app: Arc<App>) {
    let mut obstacle = app.store.obstacle();
    let mut told = false;
    loop {
        let problem = obstacle.borrow_and_update().clone();
        app.problems.writes(problem.clone());
        match (&problem, told) {
            (Some(problem), false) => {
                tracing::error!("{problem}");
                app.notifier.announce(Occasion::Failure, problem.clone());
            }
            (None, true) => {
                let text = "The database can be written again.".to_owned();
                tracing::info!("{text}");
                app.notifier.announce(Occasion::Recovery, text);
            }
            _ => {}
        }
        told = problem.is_some();
        if !told {
            if obstacle.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            changed = obstacle.changed() => if changed.is_err() { return },
            // Its result is noted by the store.
            () = tokio::time::sleep(TRY_AGAIN) => { let _ = app.store.try_to_write().await; }
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
