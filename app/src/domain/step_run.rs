//! One box of a run: a step with its state, its attempts and its figures.

use super::figure::Figures;
use super::state::StepState;
use super::step::Step;
use chrono::{DateTime, Utc};

/// One box: a step of the run, as it was defined when the run was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    /// The step's definition at that time.
    pub step: Step,
    /// The colour.
    pub state: StepState,
    /// Number of the attempt that runs or ran last, from 1; 0 before the first.
    pub attempt: u32,
    /// Attempts that count for no retry: a crash or the loss of the supervisor ended them.
    pub uncounted: u32,
    /// Exit code of the last attempt.
    pub exit_code: Option<i32>,
    /// The reason of its state.
    pub reason: Option<String>,
    /// The figures of its last attempt.
    pub figures: Figures,
    /// Start of the wait for a slot.
    pub queued_at: Option<DateTime<Utc>>,
    /// Start of its first attempt.
    pub started_at: Option<DateTime<Utc>>,
    /// Time of its final state.
    pub finished_at: Option<DateTime<Utc>>,
}

impl StepRun {
    pub(super) fn pending(step: Step) -> Self {
        Self {
            step,
            state: StepState::Pending,
            attempt: 0,
            uncounted: 0,
            exit_code: None,
            reason: None,
            figures: Figures::default(),
            queued_at: None,
            started_at: None,
            finished_at: None,
        }
    }

    /// Reports if it went wrong in a way that breaks `on_success` and fails the run.
    pub fn is_bad(&self) -> bool {
        match self.state {
            StepState::Failed => !self.step.may_fail,
            StepState::Cancelled | StepState::Interrupted => true,
            _ => false,
        }
    }

    /// Reports if it failed and may fail.
    pub fn failed_as_allowed(&self) -> bool {
        self.state == StepState::Failed && self.step.may_fail
    }

    pub(super) fn finish(&mut self, state: StepState, reason: Option<String>, now: DateTime<Utc>) {
        self.state = state;
        self.reason = reason;
        self.finished_at = Some(now);
    }
}
