//! backupctl: the only thing on the host that Lightflow can reach.
//!
//! The groups below are in the order in which a request meets them: the way in, the decision, the action, the
//! operating system, the answer.
#![forbid(unsafe_code)]

// For `install` and the doctor, until they are a crate of their own.
pub use ::{archive, config, host, privilege, rclone, stack};
pub use ::rclone::credentials;
pub use base::{error, measure, names, progress, reply, wire};
pub use host::{audit, program};
pub use privilege::hardening;
pub use stack::podmanctl;

pub mod gate;

pub mod explain;
pub mod policy;
pub mod request;
pub mod walk;

pub mod action;
pub mod control;
pub mod database;
pub mod keeper;
pub mod lease;
pub mod mirror;
pub mod replacement;
pub mod retention;
pub mod shelf;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
