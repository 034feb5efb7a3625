//! Mirrors that repeated syncs cannot destroy: the change that a sync would make (`change`), its limits (`guard`),
//! its size beside the nights before (`anomaly`), the memory between syncs (`books`), and the retention of replaced files (`versions`).
//!
//! Invariant: `anomaly`, `change`, `guard` and `versions` are pure; only `books` uses the disk.

pub mod anomaly;
pub mod books;
pub mod change;
pub mod guard;
pub mod versions;
