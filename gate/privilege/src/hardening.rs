//! The first statement of `main`: leaves behind the surroundings in which the process was started.
//!
//! Invariant: after [`harden`] there are three open descriptors, a strict umask, limits that let the gate do its
//! work and leave no core file, memory that no other process of the user may read, `/` as the working directory,
//! and an environment of a few known variables. The environment is read here and nowhere else.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, close, geteuid, getppid};

/// The variables that are worth reading. All others are dropped before anything else happens: libraries
/// read some (`TZ`, `LD_*`, `MALLOC_*`) on their own, so not looking at them would not be enough.
const KEPT: [&str; 3] = ["SSH_ORIGINAL_COMMAND", "SSH_CONNECTION", "SUDO_USER"];

/// Open files of the gate: a tree is walked with a descriptor or two for each of its levels, in several threads.
const GATES_FILES: u64 = 4096;

/// Open files of a service's command, unless it asks for more: the number that a program gets after a boot. Some still
/// use select(2), which cannot count further.
const SERVICES_FILES: u64 = 1024;

/// Limits that the gate does not need, and by which a caller could end it half-way: of a file's size, of processor
/// time, memory and processes.
const LIFTED: [Resource; 5] = [
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_AS,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_NPROC,
];

/// The useful values of the environment.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The request, as sshd was sent it.
    pub ssh_original_command: Option<Vec<u8>>,
    /// Addresses and ports of both ends. sudo usually drops it.
    pub ssh_connection: Option<Vec<u8>>,
    /// The user who called sudo.
    pub sudo_user: Option<Vec<u8>>,
}

/// Cleans the process, and returns the useful values.
///
/// # Errors
/// When the process cannot be made safe, or cannot be started again with a clean environment.
pub fn harden() -> io::Result<Surroundings> {
    // Descriptors 0 to 2 are open: where one was not, Rust's runtime has put /dev/null before `main`.
    close_inherited()?;
    umask(Mode::from_bits_truncate(0o077));
    chdir("/")?;
    limit()?;
    set_dumpable(false)?;
    children_are_heard_of()?;
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

/// Closes every descriptor except the standard three: the parent process may have left some open.
pub fn close_inherited() -> io::Result<()> {
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

/// Begins the life of a process that works for the gate `gate` alone: it inherits no descriptor, dies with its gate, hears
/// signals, and leaves no core file.
///
/// # Errors
/// A sentence, when the kernel refuses one of these, or the gate is gone already.
pub fn begin_for(gate: i32) -> Result<(), String> {
    let refused = |name: &'static str| move |errno: nix::Error| format!("{name}: {}", errno.desc());
    close_inherited().map_err(|error| error.to_string())?;
    set_pdeathsig(Signal::SIGKILL).map_err(refused("PR_SET_PDEATHSIG"))?;
    // The signal is sent for deaths after the call; this is for one before it.
    if getppid().as_raw() != gate {
        return Err("the gate is gone".to_owned());
    }
    // The gate blocks signals to read them from a descriptor, and a mask survives execve.
    SigSet::empty()
        .thread_set_mask()
        .map_err(refused("the signal mask"))?;
    no_core_file().map_err(refused("the limits"))
}

fn limit() -> nix::Result<()> {
    // The gate's memory, and that of its children, may hold the token. The hard limit stays: a service that
    // is started from here may want its core files.
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, hard)?;
    for resource in LIFTED {
        let (_, hard) = getrlimit(resource)?;
        let lifted =
            geteuid().is_root() && setrlimit(resource, RLIM_INFINITY, RLIM_INFINITY).is_ok();
        if !lifted {
            setrlimit(resource, hard, hard)?;
        }
    }
    files(GATES_FILES)
}

/// Sets how many files may be open; root is not held to a lower limit that it inherited.
fn files(count: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let enough = hard.max(count);
    if setrlimit(Resource::RLIMIT_NOFILE, count, enough).is_ok() {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, count.min(hard), hard)
}

/// Gives the command of a service the limits that it would have after a boot, and not those that suit the gate.
pub fn limits_of_a_boot() -> nix::Result<()> {
    files(SERVICES_FILES)
}

/// Gives processes that stay running the umask of a boot.
pub fn umask_of_a_boot() {
    umask(Mode::from_bits_truncate(0o022));
}

/// A program that holds the token leaves no core file, even if it raises its limits.
pub fn no_core_file() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// A parent that ignores SIGCHLD passes that on through execve(2), and the kernel then hides the ends of children.
/// Safe code cannot undo this, and no caller has a reason for it.
fn children_are_heard_of() -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = 1_u64 << (Signal::SIGCHLD as i32 - 1);
    match ignored {
        Some(mask) if mask & bit == 0 => Ok(()),
        _ => Err(io::Error::other(
            "it was started with SIGCHLD ignored and could not tell how its programs end; start it from a process that does not ignore it (trap - CHLD)",
        )),
    }
}
