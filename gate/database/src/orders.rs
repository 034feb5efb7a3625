//! The orders of the process that looks at a database, and the names that both sides know.
//!
//! Invariant: they are all that the process is told.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use base::names::PlainPath;
use host::program::Entry;

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
pub(super) const EXIT_BAD: u8 = 65;

/// It cannot be asked: the database needs something that only its program has.
pub(super) const EXIT_UNKNOWN: u8 = 69;

/// Instructions for the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InspectionOrders {
    /// The gate's process id.
    pub(super) gate: i32,
    /// The folder with the database, and with nothing else.
    pub(super) folder: String,
    /// The largest file that may be written there.
    pub(super) largest: u64,
    /// True if Landlock closes all other folders.
    pub(super) confined: bool,
}

/// A database to check.
#[derive(Debug)]
pub struct Inspection {
    /// The program that contains SQLite, opened.
    pub program: Rc<OwnedFd>,
    /// The folder that it lies in, alone, as [`NAME`].
    pub folder: PlainPath,
    /// Its size with that of its log.
    pub bytes: u64,
    /// True if Landlock is used.
    pub confined: bool,
}

impl Entry for Inspection {
    fn program(&self) -> Option<BorrowedFd<'_>> {
        Some(self.program.as_fd())
    }

    fn name(&self) -> &'static str {
        ENTRY
    }

    fn orders(&self, gate: i32) -> serde_json::Result<String> {
        serde_json::to_string(&InspectionOrders {
            gate,
            folder: self.folder.to_string(),
            // Closing the database moves the content of the log there.
            largest: self.bytes.saturating_mul(2).saturating_add(64 << 20),
            confined: self.confined,
        })
    }
}
