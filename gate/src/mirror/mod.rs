//! Mirrors that repeated syncs cannot destroy: the change that a sync would make (`change`), its limits (`guard`), the
//! memory between syncs (`books`), and the retention of replaced files (`versions`).
//!
//! Invariant: `change`, `guard` and `versions` are pure; only `books` uses the disk.

pub mod books;
pub mod change;
pub mod guard;
pub mod versions;
