//! `PRAGMA integrity_check` of SQLite on a database, in a process that can do nothing else.
//!
//! A database comes from a service, and so from whoever owns that: it may be made to attack whoever opens it. SQLite is
//! written for such files, and large. So it works in a second instance of this program (`process`) that has no
//! capability, one folder, no socket, no program to run, a limit to its memory and nothing to tell but lines of text.
//!
//! Invariant: the answer is one of the four below; a process that ends otherwise counts as a database that is bad.

mod process;

use serde::{Deserialize, Serialize};

use crate::host::{Ended, Exit};
use crate::names::PlainPath;
use crate::program::Entry;

pub use process::inspect;

/// The hidden first argument of the process.
pub const ENTRY: &str = "__inspect";

/// Name of a database in the folder. Its log and its journal have the same name with an ending.
pub const NAME: &str = "database";

/// Beginning of a database file: <https://www.sqlite.org/fileformat.html>, 1.3.1.
pub const MAGIC: &[u8] = b"SQLite format 3\0";

/// Other files of a database: their ending, and their beginning if they are not empty. The log has two forms, which
/// differ in their last bit; see 4.1 and 3 of the same page.
pub const BESIDE: [(&str, &[u8]); 3] = [
    ("-wal", &[0x37, 0x7f, 0x06, 0x82]),
    ("-wal", &[0x37, 0x7f, 0x06, 0x83]),
    (
        "-journal",
        &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7],
    ),
];

/// SQLite found the faults of the database.
const EXIT_BAD: u8 = 65;

/// It cannot be asked: the database needs something that only its program has.
const EXIT_UNKNOWN: u8 = 69;

/// Instructions for the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// The gate's process id.
    pub gate: i32,
    /// The folder with the database, and with nothing else.
    pub folder: String,
    /// The largest file that may be written there.
    pub largest: u64,
    /// True if Landlock closes all other folders.
    pub confined: bool,
}

/// A database to check.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The folder that it lies in, alone, as [`NAME`].
    pub folder: PlainPath,
    /// Its size with that of its log.
    pub bytes: u64,
    /// True if Landlock is used.
    pub confined: bool,
}

impl Entry for Inspection {
    fn name(&self) -> &'static str {
        ENTRY
    }

    fn orders(&self, gate: i32) -> serde_json::Result<String> {
        serde_json::to_string(&Orders {
            gate,
            folder: self.folder.to_string(),
            // Closing the database moves the content of the log there.
            largest: self.bytes.saturating_mul(2).saturating_add(64 << 20),
            confined: self.confined,
        })
    }
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No fault.
    Sound,
    /// The faults, line by line.
    Bad(Vec<String>),
    /// The reason why only the database's own program could check it.
    Unknown(String),
    /// The process itself could not be confined.
    Failed(String),
}

impl Answer {
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
            Exit::Code(code) if code == crate::program::EXIT_PREPARE => Self::Failed(word()),
            exit => Self::Bad(vec![format!(
                "SQLite did not come to an end with it: {exit}"
            )]),
        }
    }
}
