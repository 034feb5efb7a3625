//! The address under which people reach the server, for links. It can be set while the
//! server goes on.

use std::sync::{Arc, PoisonError, RwLock};

/// The address; clones share it.
#[derive(Debug, Clone)]
pub struct BaseUrl {
    usual: Arc<str>,
    set: Arc<RwLock<Option<String>>>,
}

impl BaseUrl {
    /// The address that the environment says or the server guesses, and the one that was set.
    pub fn new(usual: String, set: Option<String>) -> Self {
        Self {
            usual: usual.into(),
            set: Arc::new(RwLock::new(set)),
        }
    }

    /// The address, without a slash at the end.
    pub fn get(&self) -> String {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.clone().unwrap_or_else(|| self.usual.to_string())
    }

    /// Sets it, or goes back to the usual one.
    pub fn set(&self, url: Option<String>) {
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = url;
    }
}
