//! Once a day the server removes runs that no task keeps any more, and reads the time zones again, so that it follows an update
//! of the system's zone data.
//!
//! Invariant: a change of the rules creates no run for a time that a task had dealt with already.

use crate::blocking;
use crate::engine::{Clock, Engine, LogStore};
use crate::store::{self, Store};
use crate::zones;
use chrono::TimeDelta;
use std::sync::Arc;

/// The parts of the server that need upkeep.
#[derive(Debug, Clone)]
pub(super) struct Upkeep {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) logs: LogStore,
}

impl Upkeep {
    /// Works once at the start and then each day, for ever.
    pub(super) async fn follow(self) {
        loop {
            self.remove_runs().await;
            self.clock
                .alarm(self.clock.now() + TimeDelta::days(1))
                .await;
            self.renew_zones().await;
        }
    }

    /// A task that runs removes its old runs itself; this reaches those that run no longer.
    async fn remove_runs(&self) {
        let now = self.clock.now();
        let removed = self
            .store
            .write(move |tx| store::retention::prune_all(tx, now))
            .await;
        let removed = match removed {
            Ok(removed) => removed,
            Err(error) => {
                tracing::warn!(%error, "old runs cannot be removed; trying again tomorrow");
                return;
            }
        };
        if !removed.is_empty() {
            tracing::info!(runs = removed.len(), "removed runs that no task keeps");
            let logs = self.logs.clone();
            if let Err(error) = blocking::run(move || logs.remove_runs(removed)).await {
                tracing::warn!(%error, "the logs of removed runs stay until the next start");
            }
        }
    }

    async fn renew_zones(&self) {
        match blocking::run(zones::renew).await {
            Ok(changed) if changed.is_empty() => {}
            Ok(changed) => {
                tracing::info!(
                    zones = changed.join(", "),
                    "the zone data changed; now {}",
                    zones::source()
                );
                self.engine.tasks_changed().await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the zone data again; trying again tomorrow");
            }
        }
    }
}
