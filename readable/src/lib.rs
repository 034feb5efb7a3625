//! Values as people read and type them; the runner and the gate write them the same way.
//!
//! Invariant: the output is for people. Programs read plain numbers and JSON.
#![forbid(unsafe_code)]

mod age;
mod duration;
mod shell;
mod size;

pub use age::age;
pub use duration::duration;
pub use shell::quoted;
pub use size::size;
