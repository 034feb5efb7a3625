//! The commit of changes, beside the event loop: one write at a time, with all changes that came together meanwhile.
//!
//! Invariant: an act comes after the commit of its change. There are two exceptions, because a stopped service has to come
//! back. Where the write fails, runs go on and their states are written later. Where it is slow, `always` steps and stops
//! do not wait for it.

use super::Parts;
use super::acts_pending::{PendingActs, Saving};
use super::command::EngineCommand;
use super::dispatcher::Dispatcher;
use super::feed::Change;
use super::step_task::StopWish;
use crate::blocking;
use crate::domain::lifecycle::Run;
use crate::domain::task::{Retention, TaskId};
use crate::panics::fatal;
use crate::store::{self, StoreError};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Pause after which a failed write is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(5);
/// Time after which urgent acts no longer wait for a write.
const SLOW: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// Writes the changed runs, unless a write is going on: then they go with the next one.
    pub(super) fn commit(&mut self) {
        if self.saving.is_some() {
            self.hurry();
            return;
        }
        let acts = std::mem::take(&mut self.waiting);
        if self.unsaved.is_empty() && self.unsaved_audit.is_empty() {
            self.act(acts, &[]);
            return;
        }
        let runs: Vec<Run> = self.unsaved.values().cloned().collect();
        let finished: Vec<(TaskId, Retention)> = acts
            .finished
            .iter()
            .filter_map(|id| self.board.active.get(id).map(|a| (a.run.task, a.retention)))
            .collect();
        let now = self.parts.clock.now();
        let audit = self.unsaved_audit.clone();
        self.saving = Some(Saving {
            runs: runs.clone(),
            audits: audit.len(),
            acts,
            slow: false,
        });
        let writing = self.parts.store.write(move |tx| {
            for run in &runs {
                store::runs::save(tx, run)?;
                // Once: a run that is over is not saved again.
                if run.state.is_final() {
                    store::alarms::run_ended(tx, run, now)?;
                    store::task_facts::run_ended(tx, run)?;
                }
            }
            for (at, (actor, deed)) in &audit {
                store::audit::record(tx, *at, actor, deed)?;
            }
            let mut removed = Vec::new();
            for (task, retention) in finished {
                removed.append(&mut store::retention::prune(tx, task, retention, now)?);
            }
            Ok(removed)
        });
        let own = self.own.clone();
        tokio::spawn(fatal(async move {
            let mut writing = pin!(writing);
            let written = match tokio::time::timeout(SLOW, &mut writing).await {
                Ok(written) => written,
                Err(_) => {
                    let _ = own.send(EngineCommand::SlowWrite).await;
                    writing.await
                }
            };
            let _ = own.send(EngineCommand::Saved(written)).await;
        }));
    }

    /// The write takes long: urgent acts no longer wait for it.
    pub(super) fn slow_write(&mut self) {
        if let Some(saving) = &mut self.saving {
            tracing::warn!("the database takes long to write; `always` steps go on meanwhile");
            saving.slow = true;
        }
        self.hurry();
    }

    fn hurry(&mut self) {
        let Some(saving) = self.saving.as_mut().filter(|saving| saving.slow) else {
            return;
        };
        let urgent = [saving.acts.take_urgent(), self.waiting.take_urgent()];
        for acts in urgent {
            self.act(acts, &[]);
        }
    }

    /// The write is over: carries out the acts that waited for it.
    pub(super) fn saved(&mut self, written: Result<Vec<i64>, StoreError>) {
        let Some(mut saving) = self.saving.take() else {
            return;
        };
        match written {
            Ok(removed) => {
                self.unsaved_audit.drain(..saving.audits);
                for run in &saving.runs {
                    if self.unsaved.get(&run.id) == Some(run) {
                        self.unsaved.remove(&run.id);
                    }
                    // A state that was published while it could not be written is told once more, for those who looked
                    // into the database meanwhile.
                    saving.acts.changed.insert(run.id);
                }
                remove_logs(&self.parts, removed);
            }
            Err(error) => {
                tracing::error!(%error, "the state of runs cannot be written; trying again");
                if !std::mem::replace(&mut self.save_pending, true) {
                    let own = self.own.clone();
                    tokio::spawn(fatal(async move {
                        tokio::time::sleep(SAVE_AGAIN).await;
                        let _ = own.send(EngineCommand::SaveAgain).await;
                    }));
                }
            }
        }
        self.act(saving.acts, &saving.runs);
        if !self.waiting.is_empty() {
            self.commit();
        }
    }

    /// Carries acts out; `runs` are the committed states of the changed runs.
    pub(super) fn act(&mut self, acts: PendingActs, runs: &[Run]) {
        for step in acts.starts {
            // Fails where the step's task is gone, and then the process ends.
            let _ = step.go.send(());
        }
        for run in runs.iter().filter(|run| acts.changed.contains(&run.id)) {
            self.feed.publish(Change::Run(Arc::new(run.clone())));
        }
        for id in &acts.finished {
            self.board.active.remove(id);
            self.parts.run_secrets.forget(*id);
        }
        if self.board.active.is_empty() {
            self.parts.supervisors.dismiss();
        }
        for stop in acts.stops {
            stop.send_replace(StopWish::Cancel);
        }
        for (run, position, delay) in acts.retries {
            let own = self.own.clone();
            tokio::spawn(fatal(async move {
                tokio::time::sleep(delay).await;
                let _ = own.send(EngineCommand::RetryDue { run, position }).await;
            }));
        }
        for cancelled in acts.cancels {
            let _ = cancelled.send(Ok(()));
        }
    }
}

/// Removes the logs of runs that retention removed; a failure costs space, not runs.
fn remove_logs(parts: &Parts, runs: Vec<i64>) {
    if runs.is_empty() {
        return;
    }
    let logs = parts.logs.clone();
    tokio::spawn(async move {
        if let Err(error) = blocking::run(move || logs.remove_runs(runs)).await {
            tracing::warn!(%error, "the logs of removed runs stay until the next start");
        }
    });
}
