//! The life of a run: one state machine, [`Run::apply`], decides the next steps.
//!
//! Invariant: once a box has its final colour it never changes, and a run is
//! finished exactly when all its boxes are. A box of which an attempt ran is never `not_run`.

use super::figure::Figures;
use super::names::TaskName;
use super::outcome::Outcome;
pub use super::state::{Cancel, RunState, StepState, Trigger};
use super::step::{RunRule, Step};
pub use super::step_run::StepRun;
use super::task::TaskId;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Most attempts of an `always` step that are repeated because their supervisor was lost.
const MOST_LOST: u32 = 3;

/// Identifies a run; larger numbers are newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

/// One execution of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// The task it executes.
    pub task: TaskId,
    /// The task's name when the run was created.
    pub task_name: TaskName,
    /// Its cause.
    pub trigger: Trigger,
    /// The run of which it repeats the end.
    pub retry_of: Option<RunId>,
    /// The fire time it stands for, where a CRON expression caused it.
    pub due: Option<DateTime<Utc>>,
    /// Its state.
    pub state: RunState,
    /// The cancel that a person asked for, if any.
    pub cancel: Option<Cancel>,
    /// True if the runner or the machine went down during the run.
    pub interrupted: bool,
    /// A note about the run as a whole, for example the reason why it was missed.
    pub note: Option<String>,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Start of its first step.
    pub started_at: Option<DateTime<Utc>>,
    /// End of its last step.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its boxes, in the order of the steps.
    pub steps: Vec<StepRun>,
}

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The run enters the engine.
    Created,
    /// The pool gave the step at this position a slot.
    SlotGranted(usize),
    /// The attempt of the step at this position ended.
    Ended(usize, Outcome),
    /// The delay before the next attempt of the step at this position passed.
    RetryDue(usize),
    /// A person asked it to stop.
    CancelRequested(Cancel),
    /// The runner starts and finds the run unfinished.
    Recovered,
}

/// The engine's next action after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Queue for a slot for the step at this position.
    WantSlot(usize),
    /// Start the step at this position; the slot is held.
    Start(usize),
    /// Free the slot; come back with [`Event::RetryDue`] after the delay.
    RetryAfter(usize, Duration),
    /// Stop the running step at this position.
    Stop(usize),
    /// Nothing changes.
    Nothing,
    /// The run is over.
    Finished,
}

impl Run {
    /// A new run of `steps`, all boxes pending.
    pub fn new(
        id: RunId,
        task: TaskId,
        task_name: TaskName,
        steps: Vec<Step>,
        trigger: Trigger,
        due: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            task,
            task_name,
            trigger,
            retry_of: None,
            due,
            state: RunState::Queued,
            cancel: None,
            interrupted: false,
            note: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            steps: steps.into_iter().map(StepRun::pending).collect(),
        }
    }

    /// Another go at the end of `earlier`: a run of `steps` (which may have been mended
    /// meanwhile) that begins at the position `from`. The steps before it are not run again,
    /// except that `always` ones are: always means always.
    pub fn retry(
        id: RunId,
        earlier: &Self,
        task_name: TaskName,
        steps: Vec<Step>,
        from: usize,
        now: DateTime<Utc>,
    ) -> Self {
        let task = earlier.task;
        let mut run = Self::new(id, task, task_name, steps, Trigger::Retry, None, now);
        run.retry_of = Some(earlier.id);
        for step in run.steps.iter_mut().take(from) {
            if step.step.rule == RunRule::Always {
                continue;
            }
            let then = earlier.steps.iter().find(|s| s.step.name == step.step.name);
            let word = then.map_or("not there", |then| then.state.as_str());
            let reason = format!(
                "taken from run {}: {}",
                earlier.id.0,
                word.replace('_', " ")
            );
            step.finish(StepState::NotRun, Some(reason), now);
        }
        run
    }

    /// The position of the step that went wrong first, if any did.
    pub fn first_bad(&self) -> Option<usize> {
        self.steps.iter().position(StepRun::is_bad)
    }

    /// A fire that could not run, with the reason; it is over from the start.
    pub fn missed(
        id: RunId,
        task: TaskId,
        task_name: TaskName,
        due: DateTime<Utc>,
        reason: String,
        now: DateTime<Utc>,
    ) -> Self {
        let mut run = Self::new(
            id,
            task,
            task_name,
            Vec::new(),
            Trigger::Schedule,
            Some(due),
            now,
        );
        run.state = RunState::Missed;
        run.note = Some(reason);
        run.finished_at = Some(now);
        run
    }

    /// Applies an event and returns the next action. An event that does not
    /// fit the state (a slot granted after a cancel, a report that comes twice)
    /// changes nothing.
    pub fn apply(&mut self, event: Event, now: DateTime<Utc>) -> Next {
        if self.state.is_final() {
            return Next::Nothing;
        }
        match event {
            Event::Created => self.advance(now),
            Event::SlotGranted(at) => self.start(at, now),
            Event::Ended(at, outcome) => self.ended(at, outcome, now),
            Event::RetryDue(at) => self.requeue(at, now),
            Event::CancelRequested(how) => self.cancelled(how, now),
            Event::Recovered => self.recovered(now),
        }
    }

    /// Takes note of the figures that the running step at `at` reports.
    pub fn report(&mut self, at: usize, figures: Figures) {
        if let Some(step) = self.steps.get_mut(at)
            && step.state == StepState::Running
        {
            step.figures = figures;
        }
    }

    /// The position of the box that is not final yet, if any.
    pub fn current(&self) -> Option<usize> {
        self.steps.iter().position(|s| !s.state.is_final())
    }

    fn start(&mut self, at: usize, now: DateTime<Utc>) -> Next {
        let Some(step) = self.steps.get_mut(at) else {
            return Next::Nothing;
        };
        if step.state != StepState::Queued {
            return Next::Nothing;
        }
        step.state = StepState::Running;
        step.attempt += 1;
        step.reason = None;
        step.exit_code = None;
        step.figures = Figures::default();
        step.started_at.get_or_insert(now);
        self.started_at.get_or_insert(now);
        self.state = RunState::Running;
        Next::Start(at)
    }

    fn ended(&mut self, at: usize, outcome: Outcome, now: DateTime<Utc>) -> Next {
        let may_retry = self.cancel.is_none()
            || self
                .steps
                .get(at)
                .is_some_and(|s| s.step.rule == RunRule::Always);
        let forced = self.cancel == Some(Cancel::Force);
        let Some(step) = self.steps.get_mut(at) else {
            return Next::Nothing;
        };
        if step.state != StepState::Running {
            return Next::Nothing;
        }
        step.exit_code = outcome.exit_code();
        let state = outcome.state();
        let reason = outcome.reason();
        if matches!(outcome, Outcome::Lost(_))
            && step.step.rule == RunRule::Always
            && step.uncounted < MOST_LOST
        {
            step.uncounted += 1;
        }
        let counted = step.attempt.saturating_sub(step.uncounted);
        let retries_left = (step.step.retry.count + 1).saturating_sub(counted);
        if state == StepState::Failed && may_retry && !forced && retries_left > 0 {
            step.state = StepState::Retrying;
            step.reason = reason.map(|r| format!("attempt {}: {r}", step.attempt));
            let delay = Duration::from_secs(u64::from(step.step.retry.delay_s));
            return Next::RetryAfter(at, delay);
        }
        step.finish(state, reason, now);
        self.advance(now)
    }

    fn requeue(&mut self, at: usize, now: DateTime<Utc>) -> Next {
        match self.steps.get_mut(at) {
            Some(step) if step.state == StepState::Retrying => {
                step.state = StepState::Queued;
                step.queued_at = Some(now);
                Next::WantSlot(at)
            }
            _ => Next::Nothing,
        }
    }

    fn cancelled(&mut self, how: Cancel, now: DateTime<Utc>) -> Next {
        if self.cancel >= Some(how) {
            return Next::Nothing;
        }
        self.cancel = Some(how);
        let Some(at) = self.current() else {
            return self.advance(now);
        };
        let step = &mut self.steps[at];
        let protected = step.step.rule == RunRule::Always && how == Cancel::Graceful;
        match step.state {
            StepState::Running if protected => Next::Nothing,
            StepState::Running => Next::Stop(at),
            StepState::Queued | StepState::Retrying if protected => Next::Nothing,
            StepState::Retrying => {
                step.finish(StepState::Cancelled, Some("cancelled".to_owned()), now);
                self.advance(now)
            }
            _ => self.advance(now),
        }
    }

    /// A step that ran when the runner went down is interrupted, except that an
    /// `always` step is tried again: always means always. A run of which nothing
    /// had started simply waits in the queue again.
    fn recovered(&mut self, now: DateTime<Utc>) -> Next {
        if self.state == RunState::Queued {
            for step in &mut self.steps {
                if !step.state.is_final() {
                    step.state = StepState::Pending;
                }
            }
            return self.advance(now);
        }
        self.interrupted = true;
        for step in &mut self.steps {
            match step.state {
                // It gets its full number of attempts: an earlier one may have failed because of the crash, for example
                // because the host is not up yet.
                StepState::Pending
                | StepState::Queued
                | StepState::Running
                | StepState::Retrying
                    if step.step.rule == RunRule::Always =>
                {
                    step.uncounted = step.attempt;
                    step.state = StepState::Pending;
                }
                // It ran, and waited for a slot for its next attempt.
                StepState::Queued if step.attempt > 0 => {
                    step.finish(StepState::Interrupted, Outcome::Interrupted.reason(), now);
                }
                StepState::Pending | StepState::Queued => step.state = StepState::Pending,
                StepState::Running | StepState::Retrying => {
                    step.exit_code = None;
                    step.finish(StepState::Interrupted, Outcome::Interrupted.reason(), now);
                }
                StepState::Success
                | StepState::Skipped
                | StepState::Failed
                | StepState::NotRun
                | StepState::Cancelled
                | StepState::Interrupted => {}
            }
        }
        self.advance(now)
    }

    /// Walks to the next box with a rule that holds, and greys the others on the way.
    fn advance(&mut self, now: DateTime<Utc>) -> Next {
        while let Some(at) = self.current() {
            match self.why_not(at) {
                None => {
                    let step = &mut self.steps[at];
                    if step.state == StepState::Pending {
                        step.state = StepState::Queued;
                        step.queued_at = Some(now);
                    }
                    return Next::WantSlot(at);
                }
                Some(reason) => {
                    // A cancel ends the wait for a further attempt: the step ran, so "not run" would be wrong.
                    let (state, reason) = match self.steps[at].attempt {
                        0 => (StepState::NotRun, reason),
                        _ => (StepState::Cancelled, reason),
                    };
                    self.steps[at].finish(state, Some(reason), now);
                }
            }
        }
        self.state = self.final_state();
        self.finished_at = Some(now);
        Next::Finished
    }

    /// The reason why the rule of the step at `at` does not hold; none when it does.
    fn why_not(&self, at: usize) -> Option<String> {
        let bad = self.steps[..at].iter().find(|s| s.is_bad());
        match (self.steps[at].step.rule, self.cancel) {
            (_, Some(Cancel::Force)) => Some("the run was cancelled by force".to_owned()),
            (RunRule::Always, _) => None,
            (_, Some(Cancel::Graceful)) => Some("the run was cancelled".to_owned()),
            (RunRule::OnSuccess, None) if self.interrupted => {
                Some("the run was interrupted".to_owned())
            }
            (RunRule::OnSuccess, None) => bad.map(|s| {
                format!(
                    "run rule on_success: step {:?} {}",
                    s.step.name.as_str(),
                    past(s.state)
                )
            }),
            (RunRule::OnFailure, None) if bad.is_some() || self.interrupted => None,
            (RunRule::OnFailure, None) => {
                Some("run rule on_failure: no earlier step failed".to_owned())
            }
        }
    }

    fn final_state(&self) -> RunState {
        let any = |wanted: StepState| self.steps.iter().any(|s| s.state == wanted);
        if self.cancel.is_some() {
            RunState::Cancelled
        } else if self.interrupted {
            RunState::Interrupted
        } else if self.steps.iter().any(StepRun::is_bad) {
            RunState::Failed
        } else if any(StepState::Success) {
            RunState::Success
        } else {
            RunState::Skipped
        }
    }
}

fn past(state: StepState) -> &'static str {
    match state {
        StepState::Cancelled => "was cancelled",
        StepState::Interrupted => "was interrupted",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests;
