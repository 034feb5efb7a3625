//! Commands to the dispatcher, from the handle of the engine and from its own steps.

use super::audited::AuditedAct;
use crate::domain::figure::Figures;
use crate::domain::lifecycle::{Cancel, Run, RunId};
use crate::domain::names::PoolName;
use crate::domain::outcome::Outcome;
use crate::domain::task::TaskId;
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// The reasons why a run is not started.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The task runs already; it never overlaps itself.
    #[error("the task {task:?} is running already (run {run}); wait for it or cancel it", run = run.0)]
    Busy {
        /// The task's name.
        task: String,
        /// The run that is not finished.
        run: RunId,
    },
    /// The run to be repeated has a step that the task has no more.
    #[error("the task has no step {step:?}; its steps are {known}")]
    NoStep {
        /// The step's name.
        step: String,
        /// The steps there are, separated by commas.
        known: String,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runner goes down.
    #[error("the runner is shutting down")]
    Closing,
}

/// The reasons why a run is not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// It is over, or never was.
    #[error("run {run} is not running", run = .0.0)]
    NotRunning(RunId),
    /// The runner goes down.
    #[error("the runner is shutting down")]
    Closing,
}

/// The runs that hold a pool's slots, and those that wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Runs with a current step that holds a slot.
    pub holders: Vec<RunId>,
    /// Runs with a current step that waits, first come first.
    pub waiting: Vec<RunId>,
}

/// A command to the dispatcher.
#[derive(Debug)]
pub(super) enum EngineCommand {
    Trigger {
        task: TaskId,
        act: AuditedAct,
        reply: oneshot::Sender<Result<RunId, TriggerError>>,
    },
    Retry {
        run: RunId,
        from: Option<String>,
        act: AuditedAct,
        reply: oneshot::Sender<Result<RunId, TriggerError>>,
    },
    Cancel {
        run: RunId,
        how: Cancel,
        act: AuditedAct,
        reply: oneshot::Sender<Result<(), CancelError>>,
    },
    Ended {
        run: RunId,
        position: usize,
        outcome: Outcome,
        figures: Figures,
    },
    RetryDue {
        run: RunId,
        position: usize,
    },
    /// The write of changed runs is over; the numbers of the runs that retention removed.
    Saved(Result<Vec<i64>, StoreError>),
    /// That write takes long.
    SlowWrite,
    /// The write of a new run is over.
    Begun {
        run: RunId,
        written: Result<(), StoreError>,
    },
    /// The write of a missed fire time is over.
    Missed {
        run: Box<Run>,
        written: Result<(), StoreError>,
    },
    SaveAgain,
    TasksChanged {
        reply: oneshot::Sender<()>,
    },
    PoolsChanged {
        reply: oneshot::Sender<()>,
    },
    Pools {
        reply: oneshot::Sender<BTreeMap<PoolName, PoolState>>,
    },
    NextFires {
        tasks: Vec<TaskId>,
        reply: oneshot::Sender<BTreeMap<TaskId, DateTime<Utc>>>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}
