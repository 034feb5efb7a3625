//! The one event loop: it owns every unfinished run, and nothing else changes one.
//!
//! Each event goes the same way: the pure state machine decides, all consequences are
//! committed in one write, then it is published and done. So nothing starts that a
//! restart would not know of. The loop itself never waits for a write: its end is an event like others (`commit.rs`).

use super::acts_pending::{Beginning, PendingActs, Saving};
use super::board::Board;
use super::clock_watch::{ClockNote, ClockWatch, Held};
use super::command::EngineCommand;
use super::feed::Feed;
use super::leftovers;
use super::plan::Plan;
use super::step_task::StopWish;
use super::ticker::Ticker;
use super::{Parts, PoolState};
use crate::blocking;
use crate::domain::audit::{Actor, Deed};
use crate::domain::lifecycle::{Event, Run, RunId};
use crate::domain::names::PoolName;
use crate::domain::pool::Pool;
use crate::domain::task::{Retention, TaskId};
use crate::faults::{self, Place};
use crate::store::{self, StoreError};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::future::pending;
use std::num::NonZeroUsize;
use tokio::sync::{mpsc, oneshot, watch};

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
    pub(super) last_run: RunId,
    pub(super) closing: Option<oneshot::Sender<()>>,
    /// A write will be tried again.
    pub(super) save_pending: bool,
    /// The acts that go with the next write.
    pub(super) waiting: PendingActs,
    /// The write that is going on.
    pub(super) saving: Option<Saving>,
    /// New runs that are being written.
    pub(super) beginning: BTreeMap<RunId, Beginning>,
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
            waiting: PendingActs::default(),
            saving: None,
            beginning: BTreeMap::new(),
        };
        let readable: Vec<RunId> = unfinished.iter().map(|(_, _, run)| run.id).collect();
        let now = dispatcher.parts.clock.now();
        let abandoned = dispatcher
            .parts
            .store
            .write(move |tx| store::runs::abandon(tx, &readable, now));
        if let Err(error) = abandoned.await {
            // The runs that can be read are still finished: one of them may have stopped a service.
            tracing::error!(%error, "runs that cannot be read stay unfinished");
        }
        dispatcher.load_pools().await?;
        dispatcher.check_clock().await?;
        // Before anything starts: a process of the killed server may still work on the same files.
        let data = dispatcher.parts.folders.data.to_string_lossy().into_owned();
        let runs: Vec<RunId> = unfinished.iter().map(|(_, _, run)| run.id).collect();
        if !runs.is_empty() {
            match blocking::run(move || leftovers::kill_all(&runs, &data)).await {
                Ok(0) => {}
                Ok(killed) => tracing::warn!(killed, "killed processes that steps left running"),
                Err(error) => {
                    tracing::warn!(%error, "cannot look for processes that steps left running")
                }
            }
        }
        // Only now: a process that changed the packages held their lock until it was killed.
        let libraries = dispatcher.parts.libraries.clone();
        let swept = blocking::run(move || libraries.sweep()).await;
        if let Err(error) = swept.map_err(std::io::Error::from).flatten() {
            tracing::warn!(%error, "former Python packages stay on the disk until the next start");
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
        dispatcher.settle(plan);
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
            let written = self.saving.is_none() && self.beginning.is_empty();
            if !steps_run
                && written
                && let Some(reply) = self.closing.take()
            {
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
                self.trigger(task, act, reply).await;
            }
            EngineCommand::Retry {
                run,
                from,
                act,
                reply,
            } => {
                self.retry(run, from, act, reply).await;
            }
            EngineCommand::Cancel {
                run,
                how,
                act,
                reply,
            } => {
                self.cancel(run, how, act, reply);
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
                    self.event(run, Event::Ended(position, outcome));
                }
            }
            EngineCommand::RetryDue { run, position } => {
                self.event(run, Event::RetryDue(position));
            }
            EngineCommand::Saved(written) => self.saved(written),
            EngineCommand::SlowWrite => self.slow_write(),
            EngineCommand::Begun { run, written } => self.begun(run, written),
            EngineCommand::Missed { run, written } => self.missed(run, written),
            EngineCommand::SaveAgain => {
                self.save_pending = false;
                self.settle(Plan::default());
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
                self.settle(Plan::default());
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
