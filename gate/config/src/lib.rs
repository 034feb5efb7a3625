//! The configuration: the decisions of the host's administrator.
//!
//! Invariant: a [`Config`] is always valid. It was read through descriptors from a file that only root (or, with
//! `--config`, the user who runs the gate) could have written, unknown keys were refused, and every name and path in
//! it fits its own grammar.
#![forbid(unsafe_code)]

mod account;
mod capture;
mod command_line;
mod data_path;
mod document;
mod file;
pub mod key;
mod lease;
mod limits;
mod rclone;
mod rehearsal;
mod retention;
mod service;
mod set_aside;
pub mod unusable;

pub use account::Account;
pub use capture::{Capture, CaptureCommands};
pub use command_line::CommandLine;
pub use data_path::DataPath;
pub use file::{Config, ConfigError, DEFAULT_PATH, own_sections, sections};
pub use lease::{Keeper, LeaseTerms};
pub use limits::{Bounds, Limits, OwnLimits, Timeout};
pub use rclone::{BUNDLED_RCLONE, Bandwidth, FORMER_RCLONE, Landlock, Rclone};
pub use rehearsal::Rehearsal;
pub use retention::{Keep, MirrorTerms, Retention, Versions};
pub use service::{Control, Extra, Service};
pub use set_aside::SetAside;

#[cfg(test)]
mod tests;
