//! backupctl: the only thing on the host that Lightflow can reach.
//!
//! The groups below are in the order in which a request meets them: the way in, the decision, the action, the
//! operating system, the answer.
#![forbid(unsafe_code)]

pub mod gate;

pub mod explain;
pub mod policy;
pub mod request;
pub mod walk;

pub mod action;
pub mod control;
pub mod keeper;
pub mod lease;
pub mod mirror;
pub mod replacement;
pub mod retention;
pub mod shelf;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
