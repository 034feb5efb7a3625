//! The due times of a task: a CRON expression on the clock of a time zone.
//!
//! Clock changes follow cron(8) of Debian, and where it is silent cron.c: a job at a particular
//! time that falls into skipped time runs right after the change (several of them at once are
//! one run), and one that falls into repeated time runs at the first occurrence only. A job
//! with a minute or hour field that starts with `*` follows the clock: skipped times do not happen,
//! repeated times happen twice. After a change of three hours or more forward, or of more than
//! three hours back, every job follows the new clock.
//!
//! Invariant: [`Schedule::next_after`] is strictly after its argument and never goes back when
//! the argument goes forward, so walking along it visits each fire once.

mod changes;
#[cfg(test)]
mod tests;
mod zone;

use crate::zones::Zone;
use chrono::{DateTime, NaiveDateTime, Utc};

use super::cron::CronExpr;
pub use changes::ClockChange;
pub use zone::{ZoneError, parse_zone};

/// Time after which a clock change has no effect: a job that ran before the clock went back by up to
/// three hours is not repeated.
const LOOK_BACK: i64 = 6 * 3600;

/// An expression in a time zone: the instants at which a task is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    expr: CronExpr,
    zone: Zone,
}

/// The position of a search: everything due at or before `done` (local seconds) has run, and the
/// clock has shown `offset` since `since` (seconds of UTC) at least.
struct Cursor {
    done: i64,
    since: i64,
    offset: i64,
}

impl Schedule {
    /// Puts an expression on the clock of `zone`.
    #[must_use]
    pub fn new(expr: CronExpr, zone: Zone) -> Self {
        Self { expr, zone }
    }

    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &CronExpr {
        &self.expr
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first fire strictly after `after`, in whole seconds, or `None` when there is none:
    /// the date does not exist (30 February), or the calendar ends.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut cursor = self.cursor_at(after.timestamp())?;
        loop {
            let local = self.expr.next_local(naive(cursor.done)?)?;
            let local = local.and_utc().timestamp();
            // A skipped time is due as soon as the clock has changed, hence the maximum.
            let due = local.checked_sub(cursor.offset)?.max(cursor.since);
            match changes::first_change(self.zone, cursor.since, due) {
                None => return DateTime::from_timestamp(due, 0),
                Some(change) => self.cross(&mut cursor, change),
            }
        }
    }

    /// The latest fire in `(after, up_to]`, found by halving, so also years cost little.
    #[must_use]
    pub fn latest_due(&self, after: DateTime<Utc>, up_to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut latest = self.next_after(after).filter(|first| *first <= up_to)?;
        // Fires are whole seconds: `latest` is one, and none lies in `(end, up_to]`.
        let mut end = up_to.timestamp();
        while end > latest.timestamp() {
            let middle = latest.timestamp() + (end - latest.timestamp()) / 2;
            match self.next_after(DateTime::from_timestamp(middle, 0)?) {
                Some(fire) if fire.timestamp() <= end => latest = fire,
                _ => end = middle,
            }
        }
        Some(latest)
    }

    /// Fires strictly after `after`, in order.
    #[must_use]
    pub fn fires_after(&self, after: DateTime<Utc>) -> Fires<'_> {
        Fires {
            schedule: self,
            last: Some(after),
        }
    }

    /// The first clock change of the zone in `(after, up_to]`.
    #[must_use]
    pub fn change_between(
        &self,
        after: DateTime<Utc>,
        up_to: DateTime<Utc>,
    ) -> Option<ClockChange> {
        changes::first_change(self.zone, after.timestamp(), up_to.timestamp())
    }

    /// The state of cron at `now`, with all that is due by then done. Only a particular-time
    /// job remembers a time before the last change.
    fn cursor_at(&self, now: i64) -> Option<Cursor> {
        let begin = if self.expr.is_wildcard() {
            now
        } else {
            now.checked_sub(LOOK_BACK)?
        };
        let offset = self.zone.offset_at(begin)?;
        let mut cursor = Cursor {
            done: begin.checked_add(offset)?,
            since: begin,
            offset,
        };
        while let Some(change) = changes::first_change(self.zone, cursor.since, now) {
            self.cross(&mut cursor, change);
            cursor.done = cursor.done.max(change.at.checked_add(change.after)?);
        }
        cursor.done = cursor.done.max(now.checked_add(cursor.offset)?);
        cursor.since = now;
        Some(cursor)
    }

    /// Moves on to a clock change before which nothing more is due. The comparison is that of
    /// cron.c, in minutes, between the new time and the last minute it has dealt with.
    fn cross(&self, cursor: &mut Cursor, change: ClockChange) {
        const CORRECTION: i64 = 3 * 60;
        let shown = change.at + change.after;
        let done = cursor.done.max(change.at - 1 + change.before);
        let jump = shown.div_euclid(60) - done.div_euclid(60);
        let follows = self.expr.is_wildcard() || jump > CORRECTION || jump <= -CORRECTION;
        *cursor = Cursor {
            done: if follows { shown - 1 } else { done },
            since: change.at,
            offset: change.after,
        };
    }
}

/// The fires of a [`Schedule`], one after the other; ends only where `next_after` has none.
#[derive(Debug, Clone)]
pub struct Fires<'a> {
    schedule: &'a Schedule,
    last: Option<DateTime<Utc>>,
}

impl Iterator for Fires<'_> {
    type Item = DateTime<Utc>;

    fn next(&mut self) -> Option<DateTime<Utc>> {
        self.last = self.schedule.next_after(self.last?);
        self.last
    }
}

impl std::iter::FusedIterator for Fires<'_> {}

fn naive(local_seconds: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(local_seconds, 0)?.naive_utc())
}
