//! Once a day the server reads the time zones again, so that it follows an update of the system's zone data.
//!
//! Invariant: a change of the rules creates no run for a time that a task had dealt with already.

use crate::blocking;
use crate::engine::{Clock, Engine};
use crate::zones;
use chrono::TimeDelta;
use std::sync::Arc;

/// Reads the zones again each day, for ever.
pub(super) async fn follow(clock: Arc<dyn Clock>, engine: Engine) {
    loop {
        clock.alarm(clock.now() + TimeDelta::days(1)).await;
        match blocking::run(zones::renew).await {
            Ok(changed) if changed.is_empty() => {}
            Ok(changed) => {
                tracing::info!(
                    zones = changed.join(", "),
                    "the zone data changed; now {}",
                    zones::source()
                );
                engine.tasks_changed().await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the zone data again; trying again tomorrow");
            }
        }
    }
}
