//! An archive on a remote, as a list shows it.
//!
//! Invariant: its name is one that this gate gives.

use serde::Deserialize;

use crate::retention::ArchiveName;

/// One archive on a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::action) struct ListedArchive {
    /// The name, which contains the date.
    pub(in crate::action) name: ArchiveName,
    /// The size in bytes.
    pub(in crate::action) bytes: u64,
    /// True if a manifest lies beside the archive.
    pub(in crate::action) manifest: bool,
}

/// A line of `rclone lsjson`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::action) struct Entry {
    pub(super) path: String,
    pub(super) size: i64,
    pub(super) is_dir: bool,
}

impl Entry {
    /// The name and size of a file directly in this folder.
    pub(super) fn file_in(&self, folder: &str) -> Option<(&str, u64)> {
        let name = self.path.strip_prefix(folder)?.strip_prefix('/')?;
        let is_file = !self.is_dir && !name.contains('/');
        is_file.then(|| (name, u64::try_from(self.size).unwrap_or(0)))
    }
}
