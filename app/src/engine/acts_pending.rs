//! The acts that wait for the commit of the changes behind them, and the writes that are going on.

use super::command::{CancelError, TriggerError};
use super::plan::Plan;
use super::step_task::StopWish;
use crate::domain::lifecycle::{Run, RunId};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// A step that is ready to start. Dropped without a word, it never starts.
#[derive(Debug)]
pub(super) struct PreparedStep {
    /// It brings a service back, so it does not wait for a slow disk.
    pub(super) always: bool,
    /// Starts it.
    pub(super) go: oneshot::Sender<()>,
}

/// The acts that wait for one commit.
#[derive(Debug, Default)]
pub(super) struct PendingActs {
    /// Runs whose new state is published.
    pub(super) changed: BTreeSet<RunId>,
    pub(super) starts: Vec<PreparedStep>,
    /// Running steps to stop. Each is named by its own channel: until the commit the run may go on to its next step, which must
    /// not be stopped in its place.
    pub(super) stops: Vec<watch::Sender<StopWish>>,
    /// Steps to try again after a delay.
    pub(super) retries: Vec<(RunId, usize, Duration)>,
    /// Runs that are over.
    pub(super) finished: Vec<RunId>,
    /// Callers whose cancel is committed then.
    pub(super) cancels: Vec<oneshot::Sender<Result<(), CancelError>>>,
}

impl PendingActs {
    /// Adds the rest of a plan, with its prepared steps and the channels of the steps to stop.
    pub(super) fn add(
        &mut self,
        plan: Plan,
        mut starts: Vec<PreparedStep>,
        mut stops: Vec<watch::Sender<StopWish>>,
    ) {
        let Plan {
            mut changed,
            starts: _,
            stops: _,
            mut retries,
            mut finished,
        } = plan;
        self.changed.append(&mut changed);
        self.starts.append(&mut starts);
        self.stops.append(&mut stops);
        self.retries.append(&mut retries);
        self.finished.append(&mut finished);
    }

    /// Reports if nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
            && self.starts.is_empty()
            && self.stops.is_empty()
            && self.retries.is_empty()
            && self.finished.is_empty()
            && self.cancels.is_empty()
    }

    /// Takes the acts out that must not wait for a slow disk: those by which a service comes back, and stops.
    pub(super) fn take_urgent(&mut self) -> Self {
        let (urgent, patient) = std::mem::take(&mut self.starts)
            .into_iter()
            .partition(|step| step.always);
        self.starts = patient;
        Self {
            starts: urgent,
            stops: std::mem::take(&mut self.stops),
            retries: std::mem::take(&mut self.retries),
            ..Self::default()
        }
    }
}

/// A write of changed runs that is going on.
#[derive(Debug)]
pub(super) struct Saving {
    /// The states that it writes.
    pub(super) runs: Vec<Run>,
    /// The number of audit entries that it writes.
    pub(super) audits: usize,
    pub(super) acts: PendingActs,
    /// It takes long.
    pub(super) slow: bool,
}

/// The reason for a new run.
#[derive(Debug)]
pub(super) enum Reason {
    /// A fire time.
    Due(DateTime<Utc>),
    /// A caller who waits for the run's number.
    Asked(oneshot::Sender<Result<RunId, TriggerError>>),
}

/// A new run that is being written.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) run: Run,
    pub(super) reason: Reason,
    pub(super) acts: PendingActs,
}
