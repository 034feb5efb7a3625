//! A value that admins can change while the server runs: every user of the value sees
//! the new one from the next look on.

use std::sync::{Arc, PoisonError, RwLock};

/// The value; clones share it.
#[derive(Debug, Clone)]
pub struct Setting<T> {
    usual: T,
    set: Arc<RwLock<Option<T>>>,
}

impl<T: Clone> Setting<T> {
    /// The default and the value that was set, if any.
    pub fn new(usual: T, set: Option<T>) -> Self {
        Self {
            usual,
            set: Arc::new(RwLock::new(set)),
        }
    }

    /// The value that holds now.
    pub fn get(&self) -> T {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.as_ref().unwrap_or(&self.usual).clone()
    }

    /// Sets it, or goes back to the usual one.
    pub fn set(&self, value: Option<T>) {
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
