//! The engine's news for its listeners. A change is published only after it was
//! committed, so no listener ever sees a state that a restart forgets.

use crate::domain::lifecycle::{Run, RunId};
use crate::domain::progress::Progress;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, watch};

/// Something that changed.
#[derive(Debug, Clone)]
pub enum Change {
    /// A run, whole as it is now.
    Run(Arc<Run>),
    /// A running step says how far it is.
    Progress(LogId, Progress),
    /// Tasks were added, changed or removed; or runs were removed.
    Tasks,
    /// Pools were added, changed or removed.
    Pools,
    /// Variables were set or removed.
    Variables,
    /// Scripts were written or removed.
    Scripts,
}

/// Names one log: the attempt of a step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId {
    /// The run.
    pub run: RunId,
    /// The step's position, from 0.
    pub position: usize,
    /// The attempt, from 1.
    pub attempt: u32,
}

/// A log that grows just now.
#[derive(Debug, Clone)]
pub(super) struct Growing {
    pub(super) length: watch::Receiver<u64>,
    pub(super) progress: watch::Receiver<Option<Progress>>,
}

/// The changes, and the logs that grow just now.
#[derive(Debug, Clone)]
pub struct Feed {
    changes: broadcast::Sender<Change>,
    logs: Arc<Mutex<HashMap<LogId, Growing>>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            changes: broadcast::Sender::new(256),
            logs: Arc::default(),
        }
    }
}

impl Feed {
    /// Tells all listeners; costs nothing without any.
    pub fn publish(&self, change: Change) {
        // Fails only without listeners.
        let _ = self.changes.send(change);
    }

    /// The changes from now on. The channel tells a listener that it fell behind.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// The growing length of a log, as long as its step runs.
    pub fn log_length(&self, id: LogId) -> Option<watch::Receiver<u64>> {
        Some(self.logs().get(&id)?.length.clone())
    }

    /// The progress that the running step reported last.
    pub fn progress(&self, id: LogId) -> Option<Progress> {
        let progress = self.logs().get(&id)?.progress.clone();
        progress.borrow().clone()
    }

    pub(super) fn log_opened(&self, id: LogId, growing: Growing) {
        self.logs().insert(id, growing);
    }

    pub(super) fn log_closed(&self, id: LogId) {
        self.logs().remove(&id);
    }

    fn logs(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, Growing>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
