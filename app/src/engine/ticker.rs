//! Knows when each task fires next; decides nothing and waits for nothing itself.

use crate::domain::names::TaskName;
use crate::domain::schedule::Schedule;
use crate::domain::task::{MissedPolicy, TaskId};
use crate::store::Fire;
use crate::zones::Zone;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// A fire that is dealt with later than this counts as missed: the machine was off,
/// not just busy.
const LATE: TimeDelta = TimeDelta::minutes(5);

/// A task that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) task: TaskId,
    pub(super) name: TaskName,
    /// The latest due fire time; it covers earlier ones.
    pub(super) at: DateTime<Utc>,
    /// Present where it is too late for an ordinary run.
    pub(super) missed: Option<MissedPolicy>,
}

#[derive(Debug)]
struct Planned {
    name: TaskName,
    schedule: Schedule,
    on_missed: MissedPolicy,
    through: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
    /// Not looked at before this time, because it failed before.
    not_before: Option<DateTime<Utc>>,
    /// The last fire that was handled before the clock went back.
    handled: Option<DateTime<Utc>>,
}

impl Planned {
    fn wake(&self) -> Option<DateTime<Utc>> {
        self.next
            .map(|next| self.not_before.map_or(next, |t| t.max(next)))
    }
}

/// The tasks that fire by themselves.
#[derive(Debug, Default)]
pub(super) struct Ticker {
    planned: BTreeMap<TaskId, Planned>,
    /// The time over which the clock went last, if that was less than three hours.
    skipped: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Ticker {
    /// Replaces all schedules; `zone` is the default of tasks without one.
    pub(super) fn load(&mut self, fires: Vec<Fire>, zone: Zone) {
        let mut former = std::mem::take(&mut self.planned);
        for fire in fires {
            let through = fire.scheduled_through;
            let schedule = Schedule::new(fire.cron, fire.zone.unwrap_or(zone));
            self.planned.insert(
                fire.id,
                Planned {
                    name: fire.name,
                    next: schedule.next_after(through),
                    schedule,
                    on_missed: fire.on_missed,
                    through,
                    not_before: None,
                    handled: former.remove(&fire.id).and_then(|planned| planned.handled),
                },
            );
        }
    }

    /// The tasks that were handled up to a time after `now`: their numbers, "wildcard", and the length of the time ahead.
    pub(super) fn ahead(&self, now: DateTime<Utc>) -> Vec<(TaskId, bool, TimeDelta)> {
        let ahead = self.planned.iter().filter(|(_, p)| p.through > now);
        ahead
            .map(|(id, p)| (*id, p.schedule.expr().is_wildcard(), p.through - now))
            .collect()
    }

    /// Counts these tasks from `now` on, because the clock went back.
    pub(super) fn count_from(&mut self, tasks: &[TaskId], now: DateTime<Utc>) {
        for id in tasks {
            if let Some(planned) = self.planned.get_mut(id) {
                planned.handled = planned.handled.max(Some(planned.through));
                planned.through = now;
                planned.next = planned.schedule.next_after(now);
                planned.not_before = None;
            }
        }
    }

    /// The clock went forward from `from` to `now`. A correction of a clock that went back wrongly makes up for nothing that
    /// was handled before. `small`: tasks at fixed times in between run as if they were on time.
    pub(super) fn went_forward(&mut self, now: DateTime<Utc>, small: bool, from: DateTime<Utc>) {
        self.skipped = small.then_some((from, now));
        for planned in self.planned.values_mut() {
            if let Some(handled) = planned.handled.take_if(|handled| *handled <= now)
                && handled > planned.through
            {
                planned.through = handled;
                planned.next = planned.schedule.next_after(handled);
            }
        }
    }

    /// The time to look again.
    pub(super) fn wake_at(&self) -> Option<DateTime<Utc>> {
        self.planned.values().filter_map(Planned::wake).min()
    }

    /// The next fire time of a task.
    pub(super) fn next_fire(&self, task: TaskId) -> Option<DateTime<Utc>> {
        self.planned.get(&task)?.next
    }

    /// The tasks that are due, earliest first.
    pub(super) fn due(&self, now: DateTime<Utc>) -> Vec<Due> {
        let mut due: Vec<Due> = self
            .planned
            .iter()
            .filter(|(_, p)| p.wake().is_some_and(|wake| wake <= now))
            .filter_map(|(id, p)| {
                let at = p.schedule.latest_due(p.through, now)?;
                Some(Due {
                    task: *id,
                    name: p.name.clone(),
                    at,
                    missed: (now - at > LATE && !self.was_skipped(p, at)).then_some(p.on_missed),
                })
            })
            .collect();
        due.sort_by_key(|due| (due.at, due.task));
        due
    }

    fn was_skipped(&self, planned: &Planned, at: DateTime<Utc>) -> bool {
        let within = |(from, to)| from < at && at <= to;
        !planned.schedule.expr().is_wildcard() && self.skipped.is_some_and(within)
    }

    /// The fire of `task` at `at` is dealt with.
    pub(super) fn done(&mut self, task: TaskId, at: DateTime<Utc>) {
        if let Some(planned) = self.planned.get_mut(&task) {
            planned.through = planned.through.max(at);
            planned.next = planned.schedule.next_after(planned.through);
            planned.not_before = None;
        }
    }

    /// Dealing with `task` failed; it is looked at again at `until`.
    pub(super) fn postpone(&mut self, task: TaskId, until: DateTime<Utc>) {
        if let Some(planned) = self.planned.get_mut(&task) {
            planned.not_before = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ticker(cron: &str, through: &str) -> Ticker {
        let mut ticker = Ticker::default();
        ticker.load(
            vec![Fire {
                id: TaskId(1),
                name: TaskName::new("t").unwrap(),
                cron: cron.parse().unwrap(),
                zone: None,
                on_missed: MissedPolicy::RunOnce,
                scheduled_through: time(through),
            }],
            Zone::utc(),
        );
        ticker
    }

    #[test]
    fn a_week_off_makes_one_catch_up_keyed_by_its_last_due_time() {
        let now = "2026-03-08T12:00:00Z";
        let mut ticker = ticker("0 3 * * *", "2026-03-01T03:00:00Z");
        let due = ticker.due(time(now));
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].at, time("2026-03-08T03:00:00Z"));
        assert_eq!(due[0].missed, Some(MissedPolicy::RunOnce));
        ticker.done(TaskId(1), due[0].at);
        assert!(ticker.due(time(now)).is_empty());
        assert_eq!(ticker.wake_at(), Some(time("2026-03-09T03:00:00Z")));
    }

    #[test]
    fn a_fire_a_moment_late_is_an_ordinary_one() {
        let ticker = ticker("0 3 * * *", "2026-03-01T03:00:00Z");
        let due = ticker.due(time("2026-03-02T03:00:02Z"));
        assert_eq!(due[0].missed, None);
        assert!(ticker.due(time("2026-03-02T02:59:59Z")).is_empty());
    }

    #[test]
    fn a_failure_is_tried_again_later() {
        let mut ticker = ticker("* * * * *", "2026-03-01T03:00:00Z");
        let now = time("2026-03-01T03:01:00Z");
        assert_eq!(ticker.due(now).len(), 1);
        ticker.postpone(TaskId(1), now + TimeDelta::seconds(60));
        assert!(ticker.due(now).is_empty());
        assert_eq!(ticker.wake_at(), Some(time("2026-03-01T03:02:00Z")));
    }
}
