//! Decisions about a clock that was set, made as cron(8) makes them.
//!
//! Invariant: a clock that is set right silences no task for longer than cron(8) says, and a fire time that ran before does not run
//! again because a clock was wrong for a while. Each decision is written to the log and shown on the overview.
//!
//! Back by less than three hours: tasks at fixed times do not repeat; tasks with a wildcard follow the clock at once. Back by
//! more: all follow it. Forward by less than three hours: a skipped task at a fixed time runs at once. Forward by more is taken for
//! a machine that was off, because a board without a clock of its own starts in the past. See `docs/decisions/clock-changes.md`.

use super::clock_watch::{ClockNote, Held, NOTICED, PATIENCE};
use super::dispatcher::Dispatcher;
use crate::domain::task::TaskId;
use crate::panics::fatal;
use crate::store::{self, StoreError};
use chrono::{DateTime, TimeDelta, Utc};

/// The limit of cron(8): from here on a change is a correction that all tasks follow.
const CORRECTION: TimeDelta = TimeDelta::hours(3);
/// At a start, a clock that is behind the newest row by this much was lost, not corrected.
const LOST: TimeDelta = TimeDelta::days(1);

impl Dispatcher {
    /// At a start: compares the clock with the newest row of the database, and the default time zone with that of the last start.
    pub(super) async fn check_clock(&mut self) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        let zone = self.parts.zone.get();
        let (newest, believed, former) = self
            .parts
            .store
            .read(|tx| {
                let newest = store::timekeeping::newest(tx)?;
                let believed = store::timekeeping::believed(tx)?;
                Ok((newest, believed, store::timekeeping::default_zone(tx)?))
            })
            .await?;
        if former.as_deref() != Some(zone.name()) {
            let changed = former.is_some();
            let written = self.parts.store.write(move |tx| {
                if changed {
                    store::tasks::change_zone(tx, now)?;
                }
                store::timekeeping::keep_default_zone(tx, zone.name())
            });
            if let Err(error) = written.await {
                tracing::error!(%error, "cannot write down the default time zone");
            }
            if let Some(former) = former {
                self.note(format!("The default time zone was {former} and is {} now. Tasks without a zone of their own follow it from now on.", zone.name()));
            }
        }
        self.load_tasks().await?;
        let behind = newest - now;
        if behind >= LOST && believed.is_none_or(|believed| now < believed) {
            self.held = Some(Held { since: now, newest });
            self.note(format!(
                "The clock shows {}, but the database was written at {}. No schedule is followed until the clock is set, or for {} minutes.",
                minute(now), minute(newest), PATIENCE.num_minutes()
            ));
        } else if behind >= NOTICED && believed.is_none_or(|believed| now < believed) {
            self.went_back(behind, now);
        }
        Ok(())
    }

    /// Looks for a change of the clock since the last look. Returns false while no schedule is followed.
    pub(super) fn follow_clock(&mut self, now: DateTime<Utc>) -> bool {
        let change = self.watch.look(&*self.parts.clock);
        if let Some(held) = self.held {
            if held.newest - now < LOST {
                self.held = None;
                self.note("The clock was set. Schedules are followed again.".to_owned());
            } else if change.is_some() || now >= held.until() {
                self.held = None;
                self.reset(|_, _| true, held.since.min(now));
                self.note(format!(
                    "The database holds times up to {}, written by a clock that was ahead. The clock is believed; all schedules count from {} on.",
                    minute(held.newest), minute(held.since.min(now))
                ));
            } else {
                return false;
            }
            return true;
        }
        match change {
            Some(change) if change < TimeDelta::zero() => self.went_back(-change, now),
            Some(change) => {
                self.ticker
                    .went_forward(now, change < CORRECTION, now - change);
                let skipped = if change < CORRECTION {
                    "Tasks at fixed times in the skipped time run now."
                } else {
                    "Skipped times count as missed."
                };
                self.note(format!(
                    "The clock went forward {}. {skipped}",
                    length(change)
                ));
            }
            None => {}
        }
        true
    }

    fn went_back(&mut self, by: TimeDelta, now: DateTime<Utc>) {
        let all = by >= CORRECTION;
        self.reset(|wildcard, ahead| all || (wildcard && ahead >= NOTICED), now);
        let who = if all {
            "All schedules follow it from now on."
        } else {
            "Tasks at fixed times that ran in the repeated time do not run again."
        };
        self.note(format!("The clock went back {}. {who}", length(by)));
    }

    /// Counts the schedules that `follows` names from `now` on, where they were handled up to a later time. `follows` gets
    /// "wildcard" and the length of the time ahead.
    fn reset(&mut self, follows: impl Fn(bool, TimeDelta) -> bool, now: DateTime<Utc>) {
        let ahead = self.ticker.ahead(now);
        let tasks: Vec<TaskId> = ahead
            .into_iter()
            .filter(|(_, wildcard, ahead)| follows(*wildcard, *ahead))
            .map(|(task, _, _)| task)
            .collect();
        let reset = tasks.clone();
        self.ticker.count_from(&tasks, now);
        let writing = self.parts.store.write(move |tx| {
            store::timekeeping::keep_believed(tx, now)?;
            reset
                .into_iter()
                .try_for_each(|task| store::timekeeping::count_from(tx, task, now))
        });
        tokio::spawn(fatal(async move {
            if let Err(error) = writing.await {
                tracing::error!(%error, "cannot write down that the clock was set");
            }
        }));
    }

    fn note(&self, text: String) {
        tracing::warn!("{text}");
        let at = self.parts.clock.now();
        self.notes.send_replace(Some(ClockNote { at, text }));
    }
}

fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// `3 h`, `45 min`, `2 days 5 h`.
fn length(span: TimeDelta) -> String {
    let (days, hours, minutes) = (
        span.num_days(),
        span.num_hours() % 24,
        span.num_minutes() % 60,
    );
    let parts = [(days, "days"), (hours, "h"), (minutes, "min")];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .take(2)
        .map(|(number, unit)| match (*number, *unit) {
            (1, "days") => "1 day".to_owned(),
            (number, unit) => format!("{number} {unit}"),
        })
        .collect();
    shown.join(" ")
}
