//! The ground of the gate: every other crate may use this one, and this one uses none of them.
//!
//! | modules | content |
//! |---|---|
//! | `names`, `wire` | the names and words that a stranger may send, each parsed once into a type |
//! | `error` | `Failure`, the one type for a bad end, with its exit status |
//! | `reply`, `progress`, `result_line`, `measure` | lines to the caller |
//! | `clock` | the calendar and the time since the boot |
//! | `dirfd`, `flags`, `mounts`, `owners`, `scratch` | files, reached without links and written durably |
//! | `lock`, `lock_name`, `slots`, `holder`, `process` | the lock of a service, and the process that holds it |
//! | `proof` | the result of a rehearsal |
//! | `ready` | the address at which a service answers |
//! | `sort` | the order of short lists |
//!
//! Invariant: nothing here knows a service, a remote or a configuration.
#![forbid(unsafe_code)]

pub use durable;

pub mod clock;
pub mod dirfd;
pub mod error;
mod flags;
pub mod holder;
pub mod lock;
pub mod lock_name;
pub mod measure;
pub mod mounts;
pub mod names;
pub mod owners;
pub mod process;
pub mod progress;
pub mod proof;
pub mod ready;
pub mod repair;
pub mod reply;
pub mod result_line;
pub mod scratch;
pub mod slots;
pub mod sort;
pub mod trusted;
pub mod wire;
