//! The small Gantt chart of a run: for each step when it waited for a slot and when it ran,
//! on one scale from the creation of the run to its end.

use super::lasted;
use crate::domain::lifecycle::{Run, StepRun};
use chrono::{DateTime, Utc};

/// Length of the scale, in the drawing's own units.
pub(super) const SCALE: i64 = 1000;
/// Shortest bar that can be seen.
const VISIBLE: i64 = 6;

/// A stretch of the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: i64,
    pub(super) width: i64,
}

/// One step on the scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    /// From when it wanted a slot until it first ran.
    pub(super) waited: Option<Bar>,
    /// From its first attempt to its end, delays between attempts included.
    pub(super) ran: Option<Bar>,
    /// The same in words.
    pub(super) label: String,
}

/// The steps of a run on the scale; `now` is the end of unfinished ones.
pub(super) fn stretches(run: &Run, now: DateTime<Utc>) -> Vec<Stretch> {
    let scale = Scale {
        from: run.created_at,
        to: run.finished_at.unwrap_or(now),
    };
    run.steps.iter().map(|step| scale.step(step)).collect()
}

struct Scale {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl Scale {
    fn at(&self, time: DateTime<Utc>) -> i64 {
        let whole = (self.to - self.from).num_milliseconds().max(1);
        let part = (time - self.from).num_milliseconds().clamp(0, whole);
        part * SCALE / whole
    }

    fn bar(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Bar {
        let x = self.at(from).min(SCALE - VISIBLE);
        Bar {
            x,
            width: (self.at(to) - x).max(VISIBLE),
        }
    }

    fn step(&self, step: &StepRun) -> Stretch {
        let end = step.finished_at.unwrap_or(self.to);
        let mut words = Vec::new();
        let began_to_run = step.started_at.unwrap_or(end);
        // A retry waits once more; the drawn wait is the first one, before the first attempt.
        let waited = step.queued_at.filter(|queued| *queued < began_to_run);
        let waited = waited.map(|queued| {
            words.push(format!("waited {}", lasted(queued, began_to_run)));
            self.bar(queued, began_to_run)
        });
        let ran = step.started_at.map(|started| {
            words.push(format!("ran {}", lasted(started, end)));
            self.bar(started, end)
        });
        if words.is_empty() {
            words.push("did not run".to_owned());
        }
        Stretch {
            waited,
            ran,
            label: words.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lifecycle::{Event, RunId, Trigger};
    use crate::domain::names::{StepName, TaskName};
    use crate::domain::outcome::Outcome;
    use crate::domain::step::{Command, Retry, RunRule, Step, timeout};
    use crate::domain::task::TaskId;

    #[test]
    fn waiting_and_running_share_one_scale() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let step = |name| Step {
            name: StepName::new(name).unwrap(),
            command: Command::new("true", vec![]).unwrap(),
            rule: RunRule::OnSuccess,
            timeout_s: timeout(9).unwrap(),
            retry: Retry::default(),
            may_fail: false,
            env: Default::default(),
            working_dir: None,
        };
        let name = TaskName::new("t").unwrap();
        let steps = vec![step("a"), step("b")];
        let (id, task) = (RunId(1), TaskId(1));
        let mut run = Run::new(id, task, name, steps, Trigger::Manual, None, at(0));
        let _ = run.apply(Event::Created, at(0));
        let _ = run.apply(Event::SlotGranted(0), at(2));
        let _ = run.apply(Event::Ended(0, Outcome::Exited(0)), at(5));
        let _ = run.apply(Event::SlotGranted(1), at(5));
        let drawn = stretches(&run, at(10));
        assert_eq!(drawn[0].waited, Some(Bar { x: 0, width: 200 }));
        assert_eq!(drawn[0].ran, Some(Bar { x: 200, width: 300 }));
        assert_eq!(drawn[0].label, "waited 2.0 s, ran 3.0 s");
        assert_eq!(drawn[1].waited, None);
        assert_eq!(drawn[1].ran, Some(Bar { x: 500, width: 500 }));
        // A run that is over at once is still drawn inside the scale.
        let first = stretches(&run, at(0));
        assert!(
            first
                .iter()
                .all(|s| s.ran.is_none_or(|b| b.x + b.width <= SCALE))
        );
    }
}
