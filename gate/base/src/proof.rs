//! The proof of one copy: the result of a rehearsal, as the gate keeps it and as a `result:` line holds it.
//!
//! Invariant: plain data; its texts are short enough that a line with all of them fits into a line of `reply`.

use serde::{Deserialize, Serialize};

/// Longest text of a finding or a reason, in characters.
const LONGEST: usize = 240;

/// The kind of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyKind {
    /// An archive.
    Archive,
    /// The mirror, as of one night.
    Mirror,
}

/// The end of the start test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Started {
    /// The service started on the copy, and its health check passed.
    Healthy,
    /// The service started on the copy or ended, and its health check did not pass.
    Unhealthy,
    /// There was no start test; `reason` says why.
    Impossible,
}

/// The result of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The service.
    pub subject: String,
    /// The remote folder.
    pub remote: String,
    /// The kind of the copy.
    pub copy: CopyKind,
    /// The name of the archive, or the night of the mirror.
    pub name: String,
    /// The time of the rehearsal, in UTC.
    pub at: String,
    /// True if no fault was found.
    pub proven: bool,
    /// The first fault.
    #[serde(default)]
    pub finding: Option<String>,
    /// The number of faults.
    pub findings: u64,
    /// The share of the copy's content that was read in this rehearsal, in percent.
    pub percent: u8,
    /// The share that this rehearsal and those before it have read without a fault, since they began anew.
    pub covered: u8,
    /// Files whose digests were compared.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Databases that SQLite found sound.
    pub databases: u64,
    /// Data folders of PostgreSQL that were found sound.
    pub clusters: u64,
    /// The end of the start test.
    pub started: Started,
    /// The reason for no start test.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A text for a proof, cut where it is too long.
#[must_use]
pub fn short(text: &str) -> String {
    let mut letters = text.chars();
    let mut cut: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() {
        cut.push_str("...");
    }
    cut
}
