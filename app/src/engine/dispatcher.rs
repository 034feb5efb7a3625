//! The one event loop: it owns every unfinished run, and nothing else changes one.
//!
//! Each event goes the same way: the pure state machine decides, all consequences are
//! committed in one write, then it is published and done. So nothing starts that a
//! restart would not know of.

use super::audited::AuditedAct;
use super::board::Board;
use super::clock_watch::{ClockNote, ClockWatch, Held};
use super::command::EngineCommand;
use super::feed::{Change, Feed};
use super::leftovers;
use super::plan::Plan;
use super::step_task::StopWish;
use super::ticker::{Due, Ticker};
use super::{Parts, PoolState};
use crate::blocking;
use crate::domain::audit::{Actor, Deed};
use crate::domain::lifecycle::{Event, Run, RunId, Trigger};
use crate::domain::names::PoolName;
use crate::domain::pool::Pool;
use crate::domain::task::{MissedPolicy, Retention, TaskId};
use crate::faults::{self, Place};
use crate::store::{self, StoreError, StoredTask};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Pause after which a failed fire time is tried again.
const FIRE_AGAIN: TimeDelta = TimeDelta::seconds(60);

pub(super) struct Dispatcher {
    pub(super) parts: Parts,
    pub(super) feed: Feed,
    pub(super) own: mpsc::Sender<EngineCommand>,
    pub(super) ticker: Ticker,
    pub(super) watch: ClockWatch,
    pub(super) notes: watch::Sender<Option<ClockNote>>,
    /// Present while no schedule is followed, because the clock cannot be right.
    pub(super) held: Option<Held>,
    pub(super) board: Board,
    /// Runs with a last state that could not be written yet.
    pub(super) unsaved: BTreeMap<RunId, Run>,
    /// Audit entries that are written with the states of the runs they are about.
    pub(super) unsaved_audit: Vec<(DateTime<Utc>, (Actor, Deed))>,
    last_run: RunId,
    pub(super) closing: Option<oneshot::Sender<()>>,
    /// A write will be tried again.
    pub(super) save_pending: bool,
}

impl Dispatcher {
    pub(super) async fn new(
        parts: Parts,
        feed: Feed,
        own: mpsc::Sender<EngineCommand>,
        notes: watch::Sender<Option<ClockNote>>,
    ) -> Result<Self, StoreError> {
        let (unfinished, last_run) = parts
            .store
            .read(|tx| {
                let unfinished = store::runs::unfinished(tx)?
                    .into_iter()
                    .map(|run| {
                        // The run knows its steps: an `always` step runs also when its task cannot be read any more.
                        let (pool, retention) = match store::tasks::get(tx, run.task) {
                            Ok(stored) => (stored.task.pool, stored.task.retention),
                            Err(error) if error.is_unreadable() => {
                                (PoolName::default_pool(), Retention::default())
                            }
                            Err(error) => return Err(error),
                        };
                        Ok((pool, retention, run))
                    })
                    .collect::<Result<Vec<_>, StoreError>>()?;
                Ok((unfinished, store::runs::last_id(tx)?))
            })
            .await?;
        let mut dispatcher = Self {
            ticker: Ticker::default(),
            watch: ClockWatch::new(&*parts.clock),
            notes,
            held: None,
            parts,
            feed,
            own,
            board: Board::default(),
            unsaved: BTreeMap::new(),
            unsaved_audit: Vec::new(),
            last_run,
            closing: None,
            save_pending: false,
        };
        let readable: Vec<RunId> = unfinished.iter().map(|(_, _, run)| run.id).collect();
        let now = dispatcher.parts.clock.now();
        dispatcher
            .parts
            .store
            .write(move |tx| store::runs::abandon(tx, &readable, now))
            .await?;
        dispatcher.load_pools().await?;
        dispatcher.check_clock().await?;
        // Before anything starts: a process of the killed server may still work on the same files.
        let data = dispatcher.parts.folders.data.to_string_lossy().into_owned();
        let runs: Vec<RunId> = unfinished.iter().map(|(_, _, run)| run.id).collect();
        if !runs.is_empty() {
            let kill = move || {
                runs.iter()
                    .map(|run| leftovers::kill(*run, &data))
                    .sum::<usize>()
            };
            match blocking::run(kill).await {
                Ok(0) => {}
                Ok(killed) => tracing::warn!(killed, "killed processes that steps left running"),
                Err(error) => {
                    tracing::warn!(%error, "cannot look for processes that steps left running")
                }
            }
        }
        let mut plan = Plan::default();
        for (pool, retention, run) in unfinished {
            tracing::warn!(
                run = run.id.0,
                task = run.task_name.as_str(),
                "recovering a run that was going on"
            );
            let id = run.id;
            dispatcher.board.add(run, pool, retention);
            dispatcher.apply(id, Event::Recovered, &mut plan);
        }
        dispatcher.settle(plan).await;
        Ok(dispatcher)
    }

    /// Works until it is told to shut down and the last step has ended.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<EngineCommand>) {
        let mut wake_at = None;
        let mut alarm = None;
        loop {
            // While it stops, no fire time wakes it: it would be due at once, again and again.
            let next = match (&self.closing, self.held) {
                (Some(_), _) => None,
                (None, Some(held)) => Some(held.until()),
                (None, None) => self.ticker.wake_at(),
            };
            if wake_at != next {
                wake_at = next;
                alarm = wake_at.map(|due| self.parts.clock.alarm(due));
            }
            tokio::select! {
                // A due fire time comes before a command that was sent later.
                biased;
                () = async { match &mut alarm { Some(alarm) => alarm.await, None => pending().await } } => {
                    alarm = None;
                    wake_at = None;
                    self.fire().await;
                }
                command = inbox.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
            }
            let steps_run = self.board.active.values().any(|a| a.stop.is_some());
            if !steps_run && let Some(reply) = self.closing.take() {
                let _ = reply.send(());
                return;
            }
        }
    }

    /// A reply to a caller that has gone is dropped silently.
    async fn obey(&mut self, command: EngineCommand) {
        faults::check(Place::Engine);
        match command {
            EngineCommand::Trigger { task, act, reply } => {
                let _ = reply.send(self.trigger(task, act).await);
            }
            EngineCommand::Retry {
                run,
                from,
                act,
                reply,
            } => {
                let _ = reply.send(self.retry(run, from, act).await);
            }
            EngineCommand::Cancel {
                run,
                how,
                act,
                reply,
            } => {
                let _ = reply.send(self.cancel(run, how, act).await);
            }
            EngineCommand::Ended {
                run,
                position,
                outcome,
                figures,
            } => {
                if let Some(active) = self.board.active.get_mut(&run) {
                    active.stop = None;
                }
                // Going down: the reports of stopped steps are not their results.
                if self.closing.is_none() {
                    if let Some(active) = self.board.active.get_mut(&run) {
                        active.run.report(position, figures);
                    }
                    self.event(run, Event::Ended(position, outcome)).await;
                }
            }
            EngineCommand::RetryDue { run, position } => {
                self.event(run, Event::RetryDue(position)).await;
            }
            EngineCommand::SaveAgain => {
                self.save_pending = false;
                self.settle(Plan::default()).await;
            }
            EngineCommand::TasksChanged { reply } => {
                if let Err(error) = self.load_tasks().await {
                    tracing::error!(%error, "cannot read the schedules");
                }
                let _ = reply.send(());
            }
            EngineCommand::PoolsChanged { reply } => {
                if let Err(error) = self.load_pools().await {
                    tracing::error!(%error, "cannot read the pools");
                }
                self.settle(Plan::default()).await;
                let _ = reply.send(());
            }
            EngineCommand::Pools { reply } => {
                let _ = reply.send(self.pool_states());
            }
            EngineCommand::NextFires { tasks, reply } => {
                let next = |id: TaskId| Some((id, self.ticker.next_fire(id)?));
                let _ = reply.send(tasks.into_iter().filter_map(next).collect());
            }
            EngineCommand::Shutdown { reply } => {
                for active in self.board.active.values() {
                    if let Some(stop) = &active.stop {
                        stop.send_replace(StopWish::Shutdown);
                    }
                }
                self.closing = Some(reply);
            }
        }
    }

    /// The unfinished run of a task, if any.
    pub(super) fn running(&self, task: TaskId) -> Option<RunId> {
        self.board.running(task)
    }

    /// Deals with every fire time that has come.
    async fn fire(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let now = self.parts.clock.now();
        match self.follow_clock(now).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::error!(%error, "cannot write down that the clock was set"),
        }
        for due in self.ticker.due(now) {
            let (task, at) = (due.task, due.at);
            if due.missed == Some(MissedPolicy::RunOnce) && self.running(task).is_some() {
                // The run that a crash interrupted is still being finished; the catch-up comes after it.
                self.ticker.postpone(task, now + FIRE_AGAIN);
                continue;
            }
            match self.deal_with(due, now).await {
                Ok(()) => self.ticker.done(task, at),
                Err(StoreError::AlreadyClaimed) => {
                    tracing::warn!(task = task.0, due = %at, "a fire time was dealt with already");
                    self.ticker.done(task, at);
                }
                Err(error) => {
                    tracing::error!(task = task.0, %error, "a fire time could not be dealt with; trying again in a minute");
                    self.ticker.postpone(task, now + FIRE_AGAIN);
                }
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
                self.begin(task, run, None).await?;
                return Ok(());
            }
        };
        let id = self.next_id();
        let missed = Run::missed(id, due.task, due.name, due.at, reason, now);
        let run = missed.clone();
        self.parts
            .store
            .write(move |tx| {
                store::tasks::claim(tx, run.task, due.at)?;
                store::runs::insert(tx, &run)
            })
            .await?;
        self.feed.publish(Change::Run(Arc::new(missed)));
        Ok(())
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

    /// Takes up a new run and carries out the consequences. One write claims the fire time, inserts
    /// the run with its audit entry and, where a slot is free, marks its first step as running.
    pub(super) async fn begin(
        &mut self,
        task: StoredTask,
        run: Run,
        act: Option<AuditedAct>,
    ) -> Result<RunId, StoreError> {
        let id = run.id;
        let entry = act.map(|act| act.on(id));
        self.board
            .add(run, task.task.pool.clone(), task.task.retention);
        let mut plan = Plan::default();
        self.apply(id, Event::Created, &mut plan);
        self.grant(&mut plan);
        let written = match self.board.active.get(&id).map(|a| a.run.clone()) {
            Some(run) => {
                self.parts
                    .store
                    .write(move |tx| {
                        if let Some(due) = run.due {
                            store::tasks::claim(tx, run.task, due)?;
                        }
                        if let Some((actor, deed)) = &entry {
                            store::audit::record(tx, run.created_at, actor, deed)?;
                        }
                        store::runs::insert(tx, &run)
                    })
                    .await
            }
            None => Ok(()),
        };
        if let Err(error) = written {
            self.board.remove(id);
            return Err(error);
        }
        // Written already.
        plan.changed.remove(&id);
        self.settle(plan).await;
        self.publish(id);
        Ok(id)
    }

    async fn load_pools(&mut self) -> Result<(), StoreError> {
        let stored = self.parts.store.read(store::pools::list).await?;
        let slots = |pool: &Pool| {
            let slots = usize::try_from(pool.slots.get()).ok();
            slots
                .and_then(NonZeroUsize::new)
                .unwrap_or(NonZeroUsize::MIN)
        };
        let stored: Vec<_> = stored
            .into_iter()
            .map(|stored| (stored.pool.name.clone(), slots(&stored.pool)))
            .collect();
        self.board.set_pools(&stored);
        Ok(())
    }

    pub(super) async fn load_tasks(&mut self) -> Result<(), StoreError> {
        let fires = self.parts.store.read(store::tasks::fires).await?;
        self.ticker.load(fires, self.parts.zone.get());
        Ok(())
    }

    fn pool_states(&self) -> BTreeMap<PoolName, PoolState> {
        self.board
            .pools
            .iter()
            .map(|(name, pool)| {
                let state = PoolState {
                    holders: pool.holders().collect(),
                    waiting: pool.waiting().collect(),
                };
                (name.clone(), state)
            })
            .collect()
    }
}
