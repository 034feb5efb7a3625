//! The engine: decides when steps run, runs them, and remembers how they ended.
//!
//! One event loop (the dispatcher) owns all unfinished runs; everything else talks to
//! it through [`Engine`]. With nothing to run it sleeps until the next fire time.

mod acts;
mod acts_pending;
mod audited;
mod begin;
mod board;
mod capture;
pub mod clock;
mod clock_watch;
mod command;
mod commit;
mod dispatcher;
mod environment;
mod feed;
mod leftovers;
mod listen;
mod log_file;
mod log_times;
mod not_started;
mod order;
mod parts;
mod plan;
mod pool_slots;
mod prepare;
mod process;
mod run_secrets;
mod settle;
mod step_task;
pub mod supervisor;
pub mod syntax;
mod ticker;
mod timekeeping;

pub use audited::AuditedAct;
pub use clock::{Clock, ManualClock, SystemClock};
pub use clock_watch::ClockNote;
pub use command::{CancelError, PoolState, TriggerError};
pub use environment::{Folders, finds};
pub use feed::{Change, Feed, LogId};
pub use log_file::{LogStore, Piece};
pub use log_times::PrintMark;
pub use parts::Parts;
pub use process::Supervisors;
pub use run_secrets::RunSecrets;

use crate::blocking;
use crate::domain::lifecycle::{Cancel, RunId};
use crate::domain::names::PoolName;
use crate::domain::task::TaskId;
use crate::panics::fatal;
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use command::EngineCommand;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot, watch};

/// A handle on the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    commands: mpsc::Sender<EngineCommand>,
    feed: Feed,
    notes: watch::Receiver<Option<ClockNote>>,
}

impl Engine {
    /// Starts the engine: recovers interrupted runs, then follows the schedules.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn start(parts: Parts) -> Result<Self, StoreError> {
        let known = parts.store.read(crate::store::runs::ids).await?;
        // A database without any run beside logs is a lost one: its logs are all that is left.
        if !known.is_empty() {
            let logs = parts.logs.clone();
            let set_aside = blocking::run(move || logs.set_aside(&known)).await;
            let logs = parts.logs.clone();
            tokio::spawn(async move {
                let removed = match set_aside {
                    Ok(()) => blocking::run(move || logs.remove_set_aside()).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = removed {
                    tracing::warn!(%error, "the logs of removed runs stay until the next start");
                }
            });
        }
        let parts = Parts {
            store: parts.store.for_engine(),
            ..parts
        };
        let (commands, inbox) = mpsc::channel(64);
        let feed = Feed::default();
        let (note, notes) = watch::channel(None);
        let dispatcher =
            dispatcher::Dispatcher::new(parts, feed.clone(), commands.clone(), note).await?;
        tokio::spawn(fatal(dispatcher.run(inbox)));
        Ok(Self {
            commands,
            feed,
            notes,
        })
    }

    /// The last decision about the clock since the start.
    pub fn clock_note(&self) -> Option<ClockNote> {
        self.notes.borrow().clone()
    }

    /// The changes, and the logs that grow.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Starts a run of a task now; returns once it is recorded.
    ///
    /// # Errors
    /// [`TriggerError::Busy`] while the task runs.
    pub async fn trigger(&self, task: TaskId, act: AuditedAct) -> Result<RunId, TriggerError> {
        self.ask(|reply| EngineCommand::Trigger { task, act, reply })
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
        let command = |reply| EngineCommand::Retry {
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
        let command = |reply| EngineCommand::Cancel {
            run,
            how,
            act,
            reply,
        };
        self.ask(command).await.unwrap_or(Err(CancelError::Closing))
    }

    /// The runs that hold slots and those that wait, by pool; empty if the engine is gone.
    pub async fn pools(&self) -> BTreeMap<PoolName, PoolState> {
        self.ask(|reply| EngineCommand::Pools { reply })
            .await
            .unwrap_or_default()
    }

    /// Reports if the event loop answers.
    pub async fn is_alive(&self) -> bool {
        self.ask(|reply| EngineCommand::Pools { reply })
            .await
            .is_some()
    }

    /// The next fire times of tasks.
    pub async fn next_fires(&self, tasks: Vec<TaskId>) -> BTreeMap<TaskId, DateTime<Utc>> {
        self.ask(|reply| EngineCommand::NextFires { tasks, reply })
            .await
            .unwrap_or_default()
    }

    /// Says that tasks were added, changed or removed; returns once the schedules follow.
    pub async fn tasks_changed(&self) {
        let _ = self
            .ask(|reply| EngineCommand::TasksChanged { reply })
            .await;
        self.feed.publish(Change::Tasks);
    }

    /// Says that pools were added, changed or removed; returns once their slots are right.
    pub async fn pools_changed(&self) {
        let _ = self
            .ask(|reply| EngineCommand::PoolsChanged { reply })
            .await;
        self.feed.publish(Change::Pools);
    }

    /// Stops all steps and returns when they are gone; their runs are recovered at the next start.
    pub async fn shutdown(&self) {
        let _ = self.ask(|reply| EngineCommand::Shutdown { reply }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> EngineCommand) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}
