//! What the engine tells whoever watches. A change is published only after it was
//! committed, so nobody ever saw what a restart forgets.

use crate::domain::lifecycle::{Run, RunId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, watch};

/// Something that changed.
#[derive(Debug, Clone)]
pub enum Change {
    /// A run, whole as it is now.
    Run(Arc<Run>),
    /// Tasks were added, changed or removed.
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

/// The changes, and the logs that grow just now.
#[derive(Debug, Clone)]
pub struct Feed {
    changes: broadcast::Sender<Change>,
    logs: Arc<Mutex<HashMap<LogId, watch::Receiver<u64>>>>,
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
    /// Tells everybody who watches; costs nothing when nobody does.
    pub fn publish(&self, change: Change) {
        // Fails only when nobody listens.
        let _ = self.changes.send(change);
    }

    /// All changes from now on. A listener that falls behind is told so by the channel.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// The growing length of a log, as long as its step runs.
    pub fn log_length(&self, id: LogId) -> Option<watch::Receiver<u64>> {
        self.logs().get(&id).cloned()
    }

    pub(super) fn log_opened(&self, id: LogId, length: watch::Receiver<u64>) {
        self.logs().insert(id, length);
    }

    pub(super) fn log_closed(&self, id: LogId) {
        self.logs().remove(&id);
    }

    fn logs(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, watch::Receiver<u64>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
