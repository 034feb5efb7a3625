//! New runs: of fire times that have come, and of people who ask for one.
//!
//! Invariant: one write claims the fire time, inserts the run with its audit entry and, where a slot is free, marks its
//! first step as running. The step starts, and the caller gets the run's number, after that write.

use super::acts_pending::{Beginning, PendingActs, Reason};
use super::audited::AuditedAct;
use super::command::{EngineCommand, TriggerError};
use super::dispatcher::Dispatcher;
use super::feed::Change;
use super::plan::Plan;
use super::ticker::Due;
use crate::domain::lifecycle::{Event, Run, RunId, Trigger};
use crate::domain::task::{MissedPolicy, TaskId};
use crate::panics::fatal;
use crate::store::{self, StoreError, StoredTask};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;

/// Pause after which a failed fire time is tried again.
const FIRE_AGAIN: TimeDelta = TimeDelta::seconds(60);

impl Dispatcher {
    /// Deals with every fire time that has come.
    pub(super) async fn fire(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let now = self.parts.clock.now();
        if !self.follow_clock(now) {
            return;
        }
        for due in self.ticker.due(now) {
            let (task, at) = (due.task, due.at);
            if due.missed == Some(MissedPolicy::RunOnce) && self.running(task).is_some() {
                // The run that a crash interrupted is still being finished; the catch-up comes after it.
                self.ticker.postpone(task, now + FIRE_AGAIN);
                continue;
            }
            // Until it is written.
            self.ticker.postpone(task, now + FIRE_AGAIN);
            if let Err(error) = self.deal_with(due, now).await {
                self.claimed(task, at, Err(error));
            }
        }
    }

    /// The write that deals with a fire time is over.
    fn claimed(&mut self, task: TaskId, due: DateTime<Utc>, written: Result<(), StoreError>) {
        match written {
            Ok(()) => self.ticker.done(task, due),
            Err(StoreError::AlreadyClaimed) => {
                tracing::warn!(task = task.0, %due, "a fire time was dealt with already");
                self.ticker.done(task, due);
            }
            // It is postponed already.
            Err(error) => {
                tracing::error!(task = task.0, %error, "a fire time could not be dealt with; trying again in a minute");
            }
        }
    }

    async fn deal_with(&mut self, due: Due, now: DateTime<Utc>) -> Result<(), StoreError> {
        let reason = match (self.running(due.task), due.missed) {
            (Some(run), _) => format!("run {} of the task was still going on", run.0),
            (None, Some(MissedPolicy::Skip)) => {
                "the machine or the runner was off at that time, and the task says skip".to_owned()
            }
            (None, late) => {
                let trigger = match late {
                    Some(_) => Trigger::CatchUp,
                    None => Trigger::Schedule,
                };
                let id = due.task;
                let task = self
                    .parts
                    .store
                    .read(move |tx| store::tasks::get(tx, id))
                    .await?;
                let run = self.new_run(&task, trigger, Some(due.at));
                self.begin(task, run, None, Reason::Due(due.at));
                return Ok(());
            }
        };
        let id = self.next_id();
        let missed = Run::missed(id, due.task, due.name, due.at, reason, now);
        let run = missed.clone();
        let writing = self.parts.store.write(move |tx| {
            store::tasks::claim(tx, run.task, due.at)?;
            store::runs::insert(tx, &run)
        });
        let own = self.own.clone();
        tokio::spawn(fatal(async move {
            let written = writing.await;
            let run = Box::new(missed);
            let _ = own.send(EngineCommand::Missed { run, written }).await;
        }));
        Ok(())
    }

    /// A fire time that was missed is written, or cannot be.
    pub(super) fn missed(&mut self, run: Box<Run>, written: Result<(), StoreError>) {
        let good = written.is_ok();
        if let Some(due) = run.due {
            self.claimed(run.task, due, written);
        }
        if good {
            self.feed.publish(Change::Run(Arc::from(run)));
        }
    }

    pub(super) fn next_id(&mut self) -> RunId {
        self.last_run.0 += 1;
        self.last_run
    }

    pub(super) fn new_run(
        &mut self,
        task: &StoredTask,
        trigger: Trigger,
        due: Option<DateTime<Utc>>,
    ) -> Run {
        let (now, name) = (self.parts.clock.now(), task.task.name.clone());
        let steps = task.task.steps().to_vec();
        Run::new(self.next_id(), task.id, name, steps, trigger, due, now)
    }

    /// Takes up a new run and begins to write it.
    pub(super) fn begin(
        &mut self,
        task: StoredTask,
        run: Run,
        act: Option<AuditedAct>,
        reason: Reason,
    ) {
        let id = run.id;
        let entry = act.map(|act| act.on(id));
        self.board
            .add(run.clone(), task.task.pool.clone(), task.task.retention);
        let mut plan = Plan::default();
        self.apply(id, Event::Created, &mut plan);
        self.grant(&mut plan);
        let run = self.board.active.get(&id).map_or(run, |a| a.run.clone());
        let written = run.clone();
        let writing = self.parts.store.write(move |tx| {
            if let Some(due) = written.due {
                store::tasks::claim(tx, written.task, due)?;
            }
            if let Some((actor, deed)) = &entry {
                store::audit::record(tx, written.created_at, actor, deed)?;
            }
            store::runs::insert(tx, &written)
        });
        let own = self.own.clone();
        tokio::spawn(fatal(async move {
            let written = writing.await;
            let _ = own.send(EngineCommand::Begun { run: id, written }).await;
        }));
        // The acts of this run wait for this write, all others for the next one.
        let mine = plan.split_off(id);
        let mut acts = PendingActs::default();
        let starts = self.prepare_steps(mine.starts.clone());
        let stops = self.channels_to_stop(&mine);
        acts.add(mine, starts, stops);
        self.beginning.insert(id, Beginning { run, reason, acts });
        self.settle(plan);
    }

    /// A new run is written, or cannot be.
    pub(super) fn begun(&mut self, id: RunId, written: Result<(), StoreError>) {
        let Some(Beginning { run, reason, acts }) = self.beginning.remove(&id) else {
            return;
        };
        if written.is_ok() {
            self.act(acts, std::slice::from_ref(&run));
        } else {
            // Its prepared step is dropped with the acts.
            self.board.remove(id);
            self.unsaved.remove(&id);
            self.settle(Plan::default());
        }
        match reason {
            Reason::Due(due) => self.claimed(run.task, due, written),
            Reason::Asked(reply) => {
                // A caller that has gone is told nothing.
                let _ = reply.send(written.map(|()| id).map_err(TriggerError::from));
            }
        }
    }
}
