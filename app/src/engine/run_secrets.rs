//! The secrets of the runs that go on, and the mask of each run.
//!
//! Invariant: a value that was known when a run began, or when one of its steps started, stays masked to the end of the
//! run, also after the variable changed. The mask is built again only when a value is new.

use crate::domain::lifecycle::RunId;
use crate::secrets::Mask;
use aho_corasick::BuildError;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The secrets of all runs that go on.
#[derive(Debug, Clone, Default)]
pub struct RunSecrets(Arc<Mutex<HashMap<RunId, KnownSecrets>>>);

#[derive(Clone, Default)]
struct KnownSecrets {
    values: BTreeSet<String>,
    mask: Arc<Mask>,
}

// The values must appear in no log.
impl std::fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} value(s)", self.values.len())
    }
}

impl RunSecrets {
    /// The mask of a run that knows all these values already, which is cheap.
    pub(super) fn known_mask(&self, run: RunId, values: &[String]) -> Option<Arc<Mask>> {
        match self.lock().get(&run) {
            Some(known) => {
                let all = values.iter().all(|value| known.values.contains(value));
                all.then(|| known.mask.clone())
            }
            None => values.is_empty().then(Arc::default),
        }
    }

    /// The mask of a run whose steps know these values from now on, and all values that it knew before.
    ///
    /// # Errors
    /// Where the values are too large to be looked for.
    pub(super) fn mask(&self, run: RunId, values: Vec<String>) -> Result<Arc<Mask>, BuildError> {
        let mut known = self.lock().get(&run).cloned().unwrap_or_default();
        let before = known.values.len();
        known.values.extend(values);
        if known.values.len() != before {
            known.mask = Arc::new(Mask::new(known.values.iter().map(String::as_str))?);
            self.lock().insert(run, known.clone());
        }
        Ok(known.mask)
    }

    /// Forgets the secrets of a run that is over.
    pub(super) fn forget(&self, run: RunId) {
        self.lock().remove(&run);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, KnownSecrets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
