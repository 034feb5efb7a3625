//! The consequences of one event: collected first, committed in one write, then carried out.

use crate::domain::lifecycle::RunId;
use std::collections::BTreeSet;
use std::time::Duration;

/// The consequences of one event.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Runs with a changed state, to be saved.
    pub(super) changed: BTreeSet<RunId>,
    /// Steps to start.
    pub(super) starts: Vec<(RunId, usize)>,
    /// Running steps to stop.
    pub(super) stops: Vec<(RunId, usize)>,
    /// Steps to try again after a delay.
    pub(super) retries: Vec<(RunId, usize, Duration)>,
    /// Runs that are over.
    pub(super) finished: Vec<RunId>,
}

impl Plan {
    /// Takes the consequences for one run out.
    pub(super) fn split_off(&mut self, run: RunId) -> Self {
        Self {
            changed: self.changed.take(&run).into_iter().collect(),
            starts: self.starts.extract_if(.., |(id, _)| *id == run).collect(),
            stops: self.stops.extract_if(.., |(id, _)| *id == run).collect(),
            retries: self.retries.extract_if(.., |(id, ..)| *id == run).collect(),
            finished: self.finished.extract_if(.., |id| *id == run).collect(),
        }
    }
}
