//! The way from one program of the gate to another that lies beside it.
//!
//! Invariant: only a program that no user but root, and the gate's own user, could have replaced takes over; the file that was
//! checked is the file that runs; and the former request of an SSH client is not passed on.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};

use base::error::Failure;
use base::owners::program_is_trusted;
use base::trusted::Trusted;

/// The program for all that needs no way in by SSH: the installer, the doctor, `podmanctl`, and the check of databases.
pub const SETUP: &str = "backupctl-setup";

/// The path of a program in the folder of this one.
#[must_use]
pub fn beside(name: &str) -> PathBuf {
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    own.with_file_name(name)
}

fn missing(program: &Path, detail: impl std::fmt::Display) -> Failure {
    Failure::Path {
        path: program.to_owned(),
        detail: format!("{detail}; it belongs to backupctl: run the `install` of a release again"),
    }
}

/// Opens the program `name`, to be started by [`path_of`].
///
/// # Errors
/// When it is missing, is no plain file, or could be replaced by another user.
pub fn open_beside(name: &str) -> Result<OwnedFd, Failure> {
    let program = beside(name);
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = open(&program, flags, Mode::empty());
    let opened = opened.map_err(|errno| missing(&program, errno.desc()))?;
    let uid = nix::unistd::geteuid().as_raw();
    program_is_trusted(&program, Trusted { uid }).map_err(Failure::Config)?;
    // The trusted file has to be the opened one.
    let found = fstat(opened.as_fd()).map_err(|errno| missing(&program, errno.desc()))?;
    match program.symlink_metadata() {
        Ok(seen) if seen.is_file() && (seen.dev(), seen.ino()) == (found.st_dev, found.st_ino) => {
            Ok(opened)
        }
        Ok(_) => Err(missing(&program, "this is not a program of the gate")),
        Err(error) => Err(missing(&program, error)),
    }
}

/// The path under which this process, and a child that it starts, finds an opened program.
#[must_use]
pub fn path_of(program: impl AsFd) -> String {
    format!("/proc/self/fd/{}", program.as_fd().as_raw_fd())
}

/// Becomes the program `name` with these arguments. Returns only when it could not. The environment is the one that
/// hardening left.
#[must_use]
pub fn become_program(name: &str, arguments: &[OsString]) -> Failure {
    match open_beside(name) {
        Err(failure) => failure,
        Ok(program) => {
            let mut command = Command::new(path_of(&program));
            let error = command
                .arg0(name)
                .args(arguments)
                .env_remove("SSH_ORIGINAL_COMMAND")
                .exec();
            missing(&beside(name), error)
        }
    }
}
