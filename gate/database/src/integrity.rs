//! The end of the process → the answer about the database.
//!
//! Invariant: only the exit code 0 means a sound database.

use host::{Ended, Exit};

use super::orders::{EXIT_BAD, EXIT_UNKNOWN};

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// No fault.
    Sound,
    /// The faults, line by line.
    Bad(Vec<String>),
    /// The reason why only the database's own program could check it.
    Unknown(String),
    /// The process itself could not be confined.
    Failed(String),
}

impl Integrity {
    /// Reads the end of the process.
    #[must_use]
    pub fn of(ended: &Ended) -> Self {
        let said = String::from_utf8_lossy(&ended.stdout);
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        let word = || lines.first().cloned().unwrap_or_default();
        match ended.exit {
            Exit::Code(0) => Self::Sound,
            Exit::Code(code) if code == i32::from(EXIT_UNKNOWN) => Self::Unknown(word()),
            Exit::Code(code) if code == i32::from(EXIT_BAD) => Self::Bad(lines),
            Exit::Code(code) if code == host::program::EXIT_PREPARE => Self::Failed(word()),
            exit => Self::Bad(vec![format!(
                "SQLite did not come to an end with it: {exit}"
            )]),
        }
    }
}
