//! The engine: decides when steps run, runs them, and remembers how they ended.
//!
//! One event loop (the dispatcher) owns all runs that go on; everything else talks to
//! it through [`Engine`]. With nothing to run it sleeps until the next fire time.

mod act;
mod capture;
pub mod clock;
mod command;
mod dispatcher;
mod environment;
mod feed;
mod listen;
mod log_file;
mod log_times;
mod plan;
mod pool_slots;
mod prepare;
mod process;
mod settle;
mod step_task;
pub mod supervisor;
pub mod syntax;
mod ticker;

pub use act::AuditedAct;
pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::{Folders, finds};
pub use feed::{Change, Feed, LogId};
pub use log_file::{LogStore, Piece};
pub use log_times::Mark;

use crate::blocking;
use crate::domain::lifecycle::{Cancel, RunId};
use crate::domain::names::PoolName;
use crate::domain::task::TaskId;
use crate::panics::fatal;
use crate::secrets::SecretKey;
use crate::setting::Setting;
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use command::Command;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What the engine is built from.
#[derive(Clone)]
pub struct Parts {
    /// Where everything is remembered.
    pub store: Store,
    /// Opens secret variables.
    pub secrets: Arc<SecretKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where logs go.
    pub logs: LogStore,
    /// The folders steps get to know.
    pub folders: Folders,
    /// The zone of tasks that name none, and of every step's TZ.
    pub zone: Setting<Tz>,
    /// The binary that supervises a step: this program itself.
    pub supervisor: PathBuf,
    /// Time a step gets between being asked to end and being killed.
    pub grace: Duration,
}

/// Why a run was not started.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The task runs already; it never overlaps itself.
    #[error("the task {task:?} is running already (run {run}); wait for it or cancel it", run = run.0)]
    Busy {
        /// The task's name.
        task: String,
        /// The run that goes on.
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

/// Why a run was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// It is over, or never was.
    #[error("run {run} is not running", run = .0.0)]
    NotRunning(RunId),
    /// The runner goes down.
    #[error("the runner is shutting down")]
    Closing,
}

/// Who holds a pool's slots and who waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Runs whose current step holds a slot.
    pub holders: Vec<RunId>,
    /// Runs whose current step waits, first come first.
    pub waiting: Vec<RunId>,
}

/// A handle on the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    feed: Feed,
}

impl Engine {
    /// Starts the engine: recovers what a crash left behind, then follows the schedules.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn start(parts: Parts) -> Result<Self, StoreError> {
        let known = parts.store.read(crate::store::runs::ids).await?;
        let logs = parts.logs.clone();
        tokio::spawn(async move {
            if let Err(error) = blocking::run(move || logs.sweep(&known)).await {
                tracing::warn!(%error, "the logs of removed runs stay until the next start");
            }
        });
        let parts = Parts {
            store: parts.store.for_engine(),
            ..parts
        };
        let (commands, inbox) = mpsc::channel(64);
        let feed = Feed::default();
        let dispatcher = dispatcher::Dispatcher::new(parts, feed.clone(), commands.clone()).await?;
        tokio::spawn(fatal(dispatcher.run(inbox)));
        Ok(Self { commands, feed })
    }

    /// What changes, and the logs that grow.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Starts a run of a task now; returns once it is recorded.
    ///
    /// # Errors
    /// [`TriggerError::Busy`] while the task runs.
    pub async fn trigger(&self, task: TaskId, act: AuditedAct) -> Result<RunId, TriggerError> {
        self.ask(|reply| Command::Trigger { task, act, reply })
            .await
            .unwrap_or(Err(TriggerError::Closing))
    }

    /// Runs the end of an earlier run again, from the step called `from` on, or from the one
    /// that went wrong first; the steps are those that the task has now.
    ///
    /// # Errors
    /// [`TriggerError::Busy`] while the task runs, [`TriggerError::NoStep`] where it has no
    /// such step.
    pub async fn retry(
        &self,
        run: RunId,
        from: Option<String>,
        act: AuditedAct,
    ) -> Result<RunId, TriggerError> {
        let command = |reply| Command::Retry {
            run,
            from,
            act,
            reply,
        };
        self.ask(command)
            .await
            .unwrap_or(Err(TriggerError::Closing))
    }

    /// Asks a run to stop.
    ///
    /// # Errors
    /// [`CancelError::NotRunning`] where there is nothing to stop.
    pub async fn cancel(
        &self,
        run: RunId,
        how: Cancel,
        act: AuditedAct,
    ) -> Result<(), CancelError> {
        let command = |reply| Command::Cancel {
            run,
            how,
            act,
            reply,
        };
        self.ask(command).await.unwrap_or(Err(CancelError::Closing))
    }

    /// Who holds slots and who waits, by pool; empty where the engine is gone.
    pub async fn pools(&self) -> BTreeMap<PoolName, PoolState> {
        self.ask(|reply| Command::Pools { reply })
            .await
            .unwrap_or_default()
    }

    /// Whether the event loop answers.
    pub async fn is_alive(&self) -> bool {
        self.ask(|reply| Command::Pools { reply }).await.is_some()
    }

    /// When tasks fire next.
    pub async fn next_fires(&self, tasks: Vec<TaskId>) -> BTreeMap<TaskId, DateTime<Utc>> {
        self.ask(|reply| Command::NextFires { tasks, reply })
            .await
            .unwrap_or_default()
    }

    /// Says that tasks were added, changed or removed; returns once the schedules follow.
    pub async fn tasks_changed(&self) {
        let _ = self.ask(|reply| Command::TasksChanged { reply }).await;
        self.feed.publish(Change::Tasks);
    }

    /// Says that pools were added, changed or removed; returns once their slots are right.
    pub async fn pools_changed(&self) {
        let _ = self.ask(|reply| Command::PoolsChanged { reply }).await;
        self.feed.publish(Change::Pools);
    }

    /// Stops all steps and returns when they are gone; what ran is recovered at the next start.
    pub async fn shutdown(&self) {
        let _ = self.ask(|reply| Command::Shutdown { reply }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}
