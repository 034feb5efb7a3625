//! `PRAGMA integrity_check` of SQLite on a database, in a process that can do nothing else.
//!
//! A database comes from a service, and so from whoever owns that: it may be made to attack whoever opens it. SQLite is
//! written for such files, and large. So it works in a second instance of this program (`process`) that has no
//! capability, one folder, no socket, no program to run, a limit to its memory and nothing to tell but lines of text.
//!
//! Invariant: the answer is one of the four below; a process that ends otherwise counts as a database that is bad.

mod orders;
mod process;

use host::{Ended, Exit};

pub use orders::{BESIDE, ENTRY, Inspection, InspectionOrders, MAGIC, NAME};
pub use process::inspect;

use orders::{EXIT_BAD, EXIT_UNKNOWN};

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
