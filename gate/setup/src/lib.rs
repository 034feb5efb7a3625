//! The program `backupctl-setup`: installs, removes and examines the gate on this host. Under its second name it is `podmanctl`
//! (crate `stack`), and at a hidden entry it checks a database (crate `database`).
//!
//! | module | content |
//! |---|---|
//! | `command` | the command line, and the way to the other two jobs |
//! | `install` | `--install` and `--uninstall`: release → plan → changes |
//! | `doctor` | `--doctor`: every link of the chain, with the command that fixes a fault |
//!
//! `backupctl` hands these verbs over to this program, which lies beside it. So the program that SSH reaches through sudo does
//! not contain this code. The three are one file, because the common code of each program takes 1.1 MB. The doctor asks
//! `backupctl` for facts that need its confinement, see the crate `facts`.
//!
//! Invariant: no line of an SSH client is parsed here.
#![forbid(unsafe_code)]

mod command;
mod doctor;
mod install;

pub use command::main;
