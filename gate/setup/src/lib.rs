//! The program `backupctl-setup`: installs, removes and examines the gate on this host.
//!
//! | module | content |
//! |---|---|
//! | `command` | the command line |
//! | `install` | `--install` and `--uninstall`: release → plan → changes |
//! | `doctor` | `--doctor`: every link of the chain, with the command that fixes a fault |
//!
//! `backupctl` hands these verbs over to this program, which lies beside it. So the program that SSH reaches through sudo does
//! not contain this code. The doctor asks `backupctl` for facts that need its confinement, see the crate `facts`.
//!
//! Invariant: no request of an SSH client comes here.
#![forbid(unsafe_code)]

mod command;
mod doctor;
mod install;

pub use command::main;
