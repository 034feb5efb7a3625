//! What the dispatcher is told, by the handle of the engine and by its own steps.

use super::act::AuditedAct;
use super::{CancelError, PoolState, TriggerError};
use crate::domain::figure::Figures;
use crate::domain::lifecycle::{Cancel, RunId};
use crate::domain::names::PoolName;
use crate::domain::outcome::Outcome;
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// What the dispatcher is told.
#[derive(Debug)]
pub(super) enum Command {
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
