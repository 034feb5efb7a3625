//! Mirrors that cannot be destroyed by asking for syncs: what a sync would change (`change`), whether that is too much
//! (`guard`), what is remembered between syncs (`books`), and how long what was replaced is kept (`versions`).
//!
//! Invariant: `change`, `guard` and `versions` are pure; `books` is the only one that touches a disk.

pub mod books;
pub mod change;
pub mod guard;
pub mod versions;
