//! rclone: the only program that reaches a remote.
//!
//! | modules | content |
//! |---|---|
//! | `argv`, `contents`, `call`, `place`, `name` | its work: the arguments of a run, and the request that does the same in a process that stays |
//! | `log`, `listener` | its messages: one line, and the state of a run |
//! | `outcome` | the meaning of its exit, and the advice for it |
//! | `version`, `known` | the table of its versions, and facts about the installed program |
//! | `credentials` | rclone.conf: one reader and writer, working copies, the turn to renew a token |
//!
//! Invariant: only this crate knows the options, messages and exit codes of rclone, and the format of its
//! configuration. Debian 12 and 13 have 1.60; its messages were tested with that version.
#![forbid(unsafe_code)]

pub mod argv;
pub mod call;
mod contents;
pub mod credentials;
pub mod known;
pub mod listener;
pub mod log;
pub mod name;
pub mod outcome;
pub mod place;
pub mod version;

pub use argv::{
    about, about_at_once, all_files, cat, compare, compare_probe, days, delete, delete_probe,
    fetch, inventory, list, list_with_hash, purge, purge_probe, put, put_aside, read_probe,
    remove_empty, rename, rename_probe, send, send_direct, serve, size, upload, upload_probe,
    version,
};
pub use call::Call;
pub use contents::{
    digests, digests_listed, fetch_contents, fetch_listed, with_most, with_redirects,
};
pub use listener::{Listener, Shared};
pub use outcome::{folder_missing, judge, no_hash_below, passing};
pub use version::Version;
