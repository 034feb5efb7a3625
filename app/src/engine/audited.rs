//! The audit entry of an act on a run. It travels with the act, so that the dispatcher writes
//! both in one transaction.

use crate::domain::audit::{Actor, Deed};
use crate::domain::lifecycle::RunId;
use std::fmt;

/// An audit entry that is complete once the number of the run is known.
pub struct AuditedAct {
    actor: Actor,
    deed: Box<dyn FnOnce(RunId) -> Deed + Send>,
}

impl AuditedAct {
    /// An entry for `actor`; `deed` gets the number of the run.
    pub fn new(actor: &Actor, deed: impl FnOnce(RunId) -> Deed + Send + 'static) -> Self {
        Self {
            actor: actor.clone(),
            deed: Box::new(deed),
        }
    }

    /// The entry of an act on `run`.
    pub(super) fn on(self, run: RunId) -> (Actor, Deed) {
        (self.actor, (self.deed)(run))
    }
}

impl fmt::Debug for AuditedAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuditedAct").field(&self.actor).finish()
    }
}
