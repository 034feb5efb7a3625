//! rclone: its work (`argv` for a run, `call` for a process that keeps running), its messages (`log`, `listener`,
//! `survey`), the meaning of its exit (`outcome`), and its versions (`version`).
//!
//! Invariant: only this folder knows the options, messages and exit codes of rclone. Debian 12 and 13 have 1.60; its
//! messages were tested with that version.

pub mod argv;
pub mod call;
pub mod known;
pub mod listener;
pub mod log;
pub mod outcome;
pub mod place;
pub mod survey;
pub mod version;

pub use argv::{
    Scope, about, about_at_once, cat, compare, compare_probe, days, delete, delete_probe, fetch,
    inventory, list, purge, purge_probe, put_aside, read_probe, rehearsal, rename, rename_probe,
    serve, size, sync, upload, upload_probe, version,
};
pub use call::Call;
pub use listener::{Listener, Shared};
pub use outcome::{folder_missing, judge, no_hash_below, passing};
pub use version::Version;
