//! The way from one program of the gate to another that lies beside it.
//!
//! Invariant: only a program that nobody but root, and the gate's own user, could have replaced takes over; the former
//! request of an SSH client is not passed on.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use base::error::Failure;
use base::owners::program_is_trusted;
use base::trusted::Trusted;

/// The path of a program in the folder of this one.
#[must_use]
pub fn beside(name: &str) -> PathBuf {
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    own.with_file_name(name)
}

/// Becomes the program `name` with these arguments. Returns only when it could not. The environment is the one that
/// hardening left.
#[must_use]
pub fn become_program(name: &str, arguments: &[OsString]) -> Failure {
    let program = beside(name);
    let missing = |detail: String| Failure::Path {
        path: program.clone(),
        detail: format!("{detail}; it belongs to backupctl: run the `install` of a release again"),
    };
    match program.symlink_metadata() {
        Ok(seen) if seen.is_file() => {}
        Ok(_) => return missing("this is not a program of the gate".into()),
        Err(error) => return missing(error.to_string()),
    }
    let uid = nix::unistd::geteuid().as_raw();
    if let Err(reason) = program_is_trusted(&program, Trusted { uid }) {
        return Failure::Config(reason);
    }
    let mut command = Command::new(&program);
    let error = command
        .args(arguments)
        .env_remove("SSH_ORIGINAL_COMMAND")
        .exec();
    missing(error.to_string())
}
