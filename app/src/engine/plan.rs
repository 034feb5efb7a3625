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
    /// Runs with a current step to stop.
    pub(super) stops: Vec<RunId>,
    /// Steps to try again after a delay.
    pub(super) retries: Vec<(RunId, usize, Duration)>,
    /// Runs that are over.
    pub(super) finished: Vec<RunId>,
}
