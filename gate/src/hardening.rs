//! The first statement of `main`: leave behind what the process was started with.
//!
//! Invariant: after [`harden`] there are three open descriptors, a strict umask, and an environment of a few
//! known variables. The environment is read here and nowhere else.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::stat::{Mode, umask};
use nix::unistd::close;

/// The variables that are worth reading. All others are dropped before anything else happens: libraries
/// read some (`TZ`, `LD_*`, `MALLOC_*`) on their own, so not looking at them would not be enough.
const KEPT: [&str; 3] = ["SSH_ORIGINAL_COMMAND", "SSH_CONNECTION", "SUDO_USER"];

/// What the environment said.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The request, as sshd was sent it.
    pub ssh_original_command: Option<Vec<u8>>,
    /// Addresses and ports of both ends. sudo usually drops it.
    pub ssh_connection: Option<Vec<u8>>,
    /// Who called sudo.
    pub sudo_user: Option<Vec<u8>>,
}

/// Cleans the process, and reads what is worth reading.
///
/// # Errors
/// When the process cannot be started again with a clean environment.
pub fn harden() -> io::Result<Surroundings> {
    umask(Mode::from_bits_truncate(0o077));
    close_inherited()?;
    let stray =
        std::env::vars_os().any(|(name, _)| !KEPT.iter().any(|&kept| name.as_os_str() == kept));
    if stray {
        // Removing variables in place is not safe in a language that may have threads; execve is.
        return Err(again());
    }
    let read = |name| std::env::var_os(name).map(OsString::into_vec);
    Ok(Surroundings {
        ssh_original_command: read(KEPT[0]),
        ssh_connection: read(KEPT[1]),
        sudo_user: read(KEPT[2]),
    })
}

/// Replaces the process by itself, in a clean environment. Returns only when that failed.
fn again() -> io::Error {
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(arguments.next().unwrap_or_default())
        .args(arguments)
        .env_clear();
    for name in KEPT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.exec()
}

/// Closes every descriptor but the standard three: whoever started us may have left some open.
fn close_inherited() -> io::Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    for fd in open {
        // One of them belonged to the listing itself and is gone by now.
        let _ = close(fd);
    }
    Ok(())
}
