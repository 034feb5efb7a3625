//! Looks for tasks that are overdue, at the time at which the next one would be.

use super::NotifierParts;
use crate::domain::overdue::overdue_at;
use crate::domain::task::TaskId;
use crate::store::alarms::{self, Watched};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Time for which a task must be overdue before the alert: after a start, or
/// when the clock was set, its catch-up gets the time to begin.
const SEEN: TimeDelta = TimeDelta::seconds(60);

/// Pause after a failure of the database.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// Overdue tasks before their alert: the time since when, by task and last success.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: BTreeMap<(TaskId, DateTime<Utc>), DateTime<Utc>>,
}

impl Watch {
    /// Reports overdue tasks; returns the time to look again.
    pub(super) async fn look(&mut self, parts: &NotifierParts) -> Option<DateTime<Utc>> {
        let (now, zone) = (parts.clock.now(), parts.zone.get());
        let watched = match parts.store.read(move |tx| alarms::watched(tx, zone)).await {
            Ok(watched) => watched,
            Err(error) => {
                tracing::error!(%error, "cannot see which tasks are overdue; trying again in a minute");
                return Some(now + AGAIN);
            }
        };
        let (tell, next) = self.sort(watched, now);
        if tell.is_empty() {
            return next;
        }
        let written = parts
            .store
            .write(move |tx| {
                tell.iter()
                    .try_for_each(|one| alarms::overdue(tx, one, now))
            })
            .await;
        match written {
            Ok(()) => next,
            Err(error) => {
                tracing::error!(%error, "cannot report an overdue task; trying again in a minute");
                Some(now + AGAIN)
            }
        }
    }

    /// Those to be told, and when the next one would be.
    fn sort(
        &mut self,
        watched: Vec<Watched>,
        now: DateTime<Utc>,
    ) -> (Vec<Watched>, Option<DateTime<Utc>>) {
        let mut still = BTreeMap::new();
        let (mut tell, mut next) = (Vec::new(), None::<DateTime<Utc>>);
        for one in watched {
            let Some(at) = overdue_at(&one.schedule, one.good) else {
                continue;
            };
            let key = (one.task, one.good);
            let look_at = if at > now {
                at
            } else {
                // A clock that was set back must not make it wait for ever.
                let since = self.seen.get(&key).copied().filter(|since| *since <= now);
                let since = since.unwrap_or(now);
                still.insert(key, since);
                since + SEEN
            };
            if look_at <= now {
                tell.push(one);
            } else {
                next = Some(next.map_or(look_at, |next| next.min(look_at)));
            }
        }
        self.seen = still;
        (tell, next)
    }
}
