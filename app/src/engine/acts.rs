//! Acts on runs: start, retry, cancel.

use super::acts_pending::Reason;
use super::audited::AuditedAct;
use super::command::{CancelError, TriggerError};
use super::dispatcher::Dispatcher;
use crate::domain::lifecycle::{Cancel, Event, Run, RunId, Trigger};
use crate::domain::task::TaskId;
use crate::store::{self, StoredTask};
use tokio::sync::oneshot;

impl Dispatcher {
    pub(super) async fn trigger(
        &mut self,
        task: TaskId,
        act: AuditedAct,
        reply: oneshot::Sender<Result<RunId, TriggerError>>,
    ) {
        match self.triggered(task).await {
            Ok((task, run)) => self.begin(task, run, Some(act), Reason::Asked(reply)),
            Err(error) => answer(reply, Err(error)),
        }
    }

    async fn triggered(&mut self, task: TaskId) -> Result<(StoredTask, Run), TriggerError> {
        if self.closing.is_some() {
            return Err(TriggerError::Closing);
        }
        let task = self
            .parts
            .store
            .read(move |tx| store::tasks::get(tx, task))
            .await?;
        if let Some(run) = self.running(task.id) {
            return Err(TriggerError::Busy {
                task: task.task.name.to_string(),
                run,
            });
        }
        let run = self.new_run(&task, Trigger::Manual, None);
        Ok((task, run))
    }

    pub(super) async fn retry(
        &mut self,
        run: RunId,
        from: Option<String>,
        act: AuditedAct,
        reply: oneshot::Sender<Result<RunId, TriggerError>>,
    ) {
        match self.retried(run, from).await {
            Ok((task, run)) => self.begin(task, run, Some(act), Reason::Asked(reply)),
            Err(error) => answer(reply, Err(error)),
        }
    }

    async fn retried(
        &mut self,
        run: RunId,
        from: Option<String>,
    ) -> Result<(StoredTask, Run), TriggerError> {
        if self.closing.is_some() {
            return Err(TriggerError::Closing);
        }
        let read = self.parts.store.read(move |tx| {
            let earlier = store::runs::get(tx, run)?;
            Ok((store::tasks::get(tx, earlier.task)?, earlier))
        });
        let (task, earlier) = read.await?;
        if let Some(run) = self.running(task.id) {
            return Err(TriggerError::Busy {
                task: task.task.name.to_string(),
                run,
            });
        }
        let bad = earlier.first_bad().and_then(|at| earlier.steps.get(at));
        let from = from.or_else(|| bad.map(|step| step.step.name.to_string()));
        let steps = task.task.steps();
        let at = match from {
            // No step went wrong: repeat all of them.
            None => 0,
            Some(name) => steps
                .iter()
                .position(|step| step.name.as_str() == name)
                .ok_or_else(|| TriggerError::NoStep {
                    step: name,
                    known: steps
                        .iter()
                        .map(|step| step.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                })?,
        };
        let now = self.parts.clock.now();
        let (id, name) = (self.next_id(), task.task.name.clone());
        let run = Run::retry(id, &earlier, name, steps.to_vec(), at, now);
        Ok((task, run))
    }

    pub(super) fn cancel(
        &mut self,
        run: RunId,
        how: Cancel,
        act: AuditedAct,
        reply: oneshot::Sender<Result<(), CancelError>>,
    ) {
        let active = self.board.active.get(&run);
        if active.is_none_or(|active| active.run.state.is_final()) {
            answer(reply, Err(CancelError::NotRunning(run)));
            return;
        }
        self.unsaved_audit
            .push((self.parts.clock.now(), act.on(run)));
        self.waiting.cancels.push(reply);
        self.event(run, Event::CancelRequested(how));
    }
}

/// Answers a caller; one that has gone is told nothing.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _ = reply.send(value);
}
