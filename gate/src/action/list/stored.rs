//! An archive on a remote, as a list shows it.
//!
//! Invariant: its name is one that this gate gives.

use crate::retention::ArchiveName;

/// One archive on a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::action) struct Stored {
    /// The name, which contains the date.
    pub(in crate::action) name: ArchiveName,
    /// The size in bytes.
    pub(in crate::action) bytes: u64,
    /// True if a manifest lies beside the archive.
    pub(in crate::action) manifest: bool,
}
