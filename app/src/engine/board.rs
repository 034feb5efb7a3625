//! The board: the active runs and the pools in which their steps queue. Pure, so that a model checker can try all
//! commands at all moments (`board/tests.rs`).
//!
//! Invariant: the pool of each run on the board exists and has at least one slot, also when a person deleted it or moved
//! the task meanwhile; so every run ends once its steps do, without force.

use super::plan::Plan;
use super::pool_slots::PoolSlots;
use super::step_task::StopWish;
use crate::domain::lifecycle::{Event, Next, Run, RunId};
use crate::domain::names::PoolName;
use crate::domain::task::{Retention, TaskId};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use tokio::sync::watch;

/// An active run.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub(super) run: Run,
    pub(super) pool: PoolName,
    pub(super) retention: Retention,
    /// Tells the running step to stop.
    pub(super) stop: Option<watch::Sender<StopWish>>,
}

/// All runs that go on, and all pools.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    pub(super) pools: BTreeMap<PoolName, PoolSlots>,
    pub(super) active: BTreeMap<RunId, Active>,
}

impl Board {
    /// Puts a run on the board.
    pub(super) fn add(&mut self, run: Run, pool: PoolName, retention: Retention) {
        let active = Active {
            run,
            pool,
            retention,
            stop: None,
        };
        self.active.insert(active.run.id, active);
    }

    /// Takes a run from the board.
    pub(super) fn remove(&mut self, id: RunId) {
        self.active.remove(&id);
        for pool in self.pools.values_mut() {
            pool.release(id);
        }
    }

    /// The unfinished run of a task, if any. One that is over may be on the board until its end is written.
    pub(super) fn running(&self, task: TaskId) -> Option<RunId> {
        let runs = |a: &&Active| a.run.task == task && !a.run.state.is_final();
        let active = self.active.values().find(runs)?;
        Some(active.run.id)
    }

    /// Lets the state machine decide and notes the consequences.
    pub(super) fn apply(&mut self, id: RunId, event: Event, now: DateTime<Utc>, plan: &mut Plan) {
        let Some(active) = self.active.get_mut(&id) else {
            return;
        };
        let next = active.run.apply(event, now);
        plan.changed.insert(id);
        let pool = self
            .pools
            .entry(active.pool.clone())
            .or_insert_with(|| PoolSlots::new(NonZeroUsize::MIN));
        match next {
            Next::WantSlot(_) => {
                pool.release(id);
                pool.request(id);
            }
            Next::Start(position) => plan.starts.push((id, position)),
            Next::RetryAfter(position, delay) => {
                pool.release(id);
                plan.retries.push((id, position, delay));
            }
            Next::Stop(position) => plan.stops.push((id, position)),
            Next::Nothing => {}
            Next::Finished => {
                pool.release(id);
                plan.finished.push(id);
            }
        }
    }

    /// Hands out free slots until none is free or no run waits.
    pub(super) fn grant(&mut self, now: DateTime<Utc>, plan: &mut Plan) {
        let names: Vec<PoolName> = self.pools.keys().cloned().collect();
        for name in names {
            while let Some(id) = self.pools.get_mut(&name).and_then(PoolSlots::grant) {
                let position = self.active.get(&id).and_then(|a| a.run.current());
                match position {
                    Some(position) => self.apply(id, Event::SlotGranted(position), now, plan),
                    None => {
                        if let Some(pool) = self.pools.get_mut(&name) {
                            pool.release(id);
                        }
                    }
                }
            }
        }
    }

    /// Takes over the pools as they are stored. One that is gone stays while a run on the board needs it, also a run that
    /// waits for its next attempt and holds no slot just now.
    pub(super) fn set_pools(&mut self, stored: &[(PoolName, NonZeroUsize)]) {
        let active = &self.active;
        self.pools.retain(|name, _| {
            stored.iter().any(|(stored, _)| stored == name)
                || active.values().any(|active| active.pool == *name)
        });
        for (name, slots) in stored {
            self.pools
                .entry(name.clone())
                .or_insert_with(|| PoolSlots::new(*slots))
                .resize(*slots);
        }
    }
}

#[cfg(test)]
mod tests;
