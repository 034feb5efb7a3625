//! The size of the change that a sync would make to a mirror.
//!
//! Invariant: the numbers count files; a directory or a new modification time destroys nothing and is not counted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The changes that a sync would make, found by comparing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Files in the mirror before.
    pub mirrored: u64,
    /// Files to remove from the mirror.
    pub deleted: u64,
    /// Files to replace by others.
    pub replaced: u64,
    /// Files to add.
    pub added: u64,
}

impl Change {
    /// Files in the mirror afterwards.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.mirrored
            .saturating_sub(self.deleted)
            .saturating_add(self.added)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files in the mirror, {} to delete, {} to replace, {} to add",
            self.mirrored, self.deleted, self.replaced, self.added
        )
    }
}
