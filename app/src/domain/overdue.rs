//! The rule for an overdue task: it fires by itself and has not succeeded for one and a
//! quarter of its period.
//!
//! The period is read off the schedule where it matters, at the time of the last success, so
//! that a weekend without fires is not a failure of a weekday task.

use super::schedule::Schedule;
use chrono::{DateTime, Utc};

/// The time at which a task with its last success (or beginning) at `good` is overdue; none
/// where it never fires again.
#[must_use]
pub fn overdue_at(schedule: &Schedule, good: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let first = schedule.next_after(good)?;
    let second = schedule.next_after(first).unwrap_or(first);
    // A success just before a fire (by hand) must not make the period look like minutes.
    let period = (first - good).max(second - first);
    good.checked_add_signed(period + period / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zones::Zone;

    fn at(cron: &str, good: &str) -> String {
        let schedule = Schedule::new(cron.parse().unwrap(), Zone::utc());
        let good = good.parse().unwrap();
        overdue_at(&schedule, good).unwrap().to_rfc3339()
    }

    #[test]
    fn a_nightly_task_is_overdue_the_next_morning() {
        let due = at("0 3 * * *", "2026-03-02T03:00:00Z");
        assert_eq!(due, "2026-03-03T09:00:00+00:00");
    }

    #[test]
    fn a_weekend_is_no_failure_of_a_weekday_task() {
        // From Friday to Monday are 72 hours, and a quarter of them is grace.
        let due = at("0 3 * * 1-5", "2026-03-06T03:00:00Z");
        assert_eq!(due, "2026-03-09T21:00:00+00:00");
    }

    #[test]
    fn a_success_by_hand_just_before_a_fire_does_not_raise_the_alarm() {
        let due = at("0 3 * * *", "2026-03-02T02:59:00Z");
        assert_eq!(due, "2026-03-03T08:59:00+00:00");
    }
}
