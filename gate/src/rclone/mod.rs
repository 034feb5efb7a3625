//! rclone: its work (`argv` for a run, `call` for a process that stays), its messages (`log`, `listener`, `survey`), the meaning
//! of its end (`outcome`), and its versions (`version`).
//!
//! Invariant: nothing outside this folder knows an option, a message or an exit code of rclone. 1.60 is what Debian 12
//! and 13 have; what it says was tried with that version.

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
