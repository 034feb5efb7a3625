//! Notices that the clock was set: compares it with the time that has passed since the last look.
//!
//! Invariant: pure apart from the clock that it is given. `timekeeping` decides the consequence of a change.

use super::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// A smaller difference is no clock change: fires are a minute apart at least.
pub(super) const NOTICED: TimeDelta = TimeDelta::minutes(1);
/// The time for which a lost clock may be set before it is believed as it is.
pub(super) const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// A decision about the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockNote {
    /// The time by the new clock.
    pub at: DateTime<Utc>,
    /// The change and its consequence.
    pub text: String,
}

/// Compares the clock with the time that has passed.
#[derive(Debug)]
pub(super) struct ClockWatch {
    wall: DateTime<Utc>,
    steady: Duration,
}

impl ClockWatch {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.now(),
            steady: clock.steady(),
        }
    }

    /// The change of the clock since the last look; positive where it went forward.
    pub(super) fn look(&mut self, clock: &dyn Clock) -> Option<TimeDelta> {
        let old = std::mem::replace(self, Self::new(clock));
        let passed = self.steady.saturating_sub(old.steady);
        let expected = old.wall + TimeDelta::from_std(passed).unwrap_or_default();
        let change = self.wall - expected;
        (change.abs() >= NOTICED).then_some(change)
    }
}

/// Schedules wait for a clock that was lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Time of the start, by the lost clock.
    pub(super) since: DateTime<Utc>,
    /// Time of the newest row.
    pub(super) newest: DateTime<Utc>,
}

impl Held {
    /// The end of the wait.
    pub(super) fn until(self) -> DateTime<Utc> {
        self.since + PATIENCE
    }
}
