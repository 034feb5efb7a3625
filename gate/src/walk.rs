//! Everything that reads a service's data in the gate itself, in a process of its own.
//!
//! A read of a file system that does not answer cannot be interrupted, and a process in it may not even die. So a
//! second instance of this program opens, measures and packs the data. The gate waits for its answer; at the deadline
//! it kills the process and continues without.
//!
//! Invariant: the gate itself waits for no file system that holds a service's data.

mod answer;
mod copies;
mod mirroring;
mod orders;
mod process;
mod report;

pub use answer::{Answer, Compared, Line, Told};
pub use orders::{Compare, Duplicate, ENTRY, Pack, Stage, Walk, WalkOrders, Work};
pub use process::walk;
