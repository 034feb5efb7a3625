//! `PRAGMA integrity_check` of SQLite on a database, in a process that can do nothing else.
//!
//! A database comes from a service, and its owner may have made the file to attack its reader. SQLite is written for such
//! files, and large. So SQLite works in a process of its own (`process`), which has no capability, one folder, no socket, no
//! program to run, a limit to its memory, and answers in lines of text. The process is `backupctl-setup` at a hidden entry, so
//! the program that SSH reaches does not contain SQLite.
//!
//! | module | content | used by |
//! |---|---|---|
//! | `orders` | the orders of the process, and the names that both sides know | both |
//! | `integrity` | the end of the process → an answer | `backupctl` |
//! | `process` | confine, open, ask, answer | `backupctl-setup` |
//!
//! Invariant: the answer is one of the four of [`Integrity`]; a process that ends otherwise counts as a bad database.
#![forbid(unsafe_code)]

mod integrity;
mod orders;
mod process;

pub use integrity::Integrity;
pub use orders::{BESIDE, ENTRY, Inspection, MAGIC, NAME};
pub use process::inspect;
