//! The life of the second instance: prepare, give up, become the program.
//!
//! Invariant: nothing here gives more than the caller has, and the program is not started unless everything that
//! it must not have is gone.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getpid, getppid};

use super::orders::{ENTRY, FOLDER_FD, Orders, Pin, SOCKET_FD, SOURCE_FD, Tether};
use super::pin;
use super::refusal::{NotStarted, Refusal, broken};
use base::dirfd::PinnedDir;
use base::names::PlainPath;
use privilege::hardening::{close_inherited, limits_of_a_boot, no_core_file, umask_of_a_boot};

/// The life of the second instance. Returns only when it could not become the program: the line for standard error.
pub fn enter(arguments: &[OsString]) -> String {
    let Some((orders, program)) = read(arguments) else {
        return format!("backupctl: {}", stranger().1);
    };
    let (reason, words) = match prepare(&orders, program) {
        Ok(mut command) => {
            let error = command.exec();
            let program = command.get_program().display().to_string();
            (NotStarted::Unprepared, format!("{program}: {error}"))
        }
        Err(refusal) => refusal,
    };
    orders.token.line(reason, &words)
}

/// The orders, and the program with its arguments.
fn read(arguments: &[OsString]) -> Option<(Orders, &[OsString])> {
    let (orders, program) = arguments.split_first()?;
    let orders = serde_json::from_slice(orders.to_str()?.as_bytes()).ok()?;
    (!program.is_empty()).then_some((orders, program))
}

fn stranger() -> Refusal {
    (
        NotStarted::Unprepared,
        format!("{ENTRY} is for the gate itself"),
    )
}

fn plain(path: &str) -> Result<PlainPath, Refusal> {
    PlainPath::parse(path).map_err(|_| stranger())
}

fn prepare(orders: &Orders, program: &[OsString]) -> Result<Command, Refusal> {
    let [program, rest @ ..] = program else {
        return Err(stranger());
    };
    close_inherited().map_err(|error| (NotStarted::Unprepared, error.to_string()))?;
    match orders.tether {
        // A service that is brought up writes its files as it would after a boot, not as the gate does.
        Tether::Free => umask_of_a_boot(),
        Tether::Tied => set_pdeathsig(Signal::SIGKILL).map_err(broken("PR_SET_PDEATHSIG"))?,
    }
    // The signal is sent for deaths after the call; this is for one before it.
    if getppid().as_raw() != orders.gate {
        return Err((NotStarted::Unprepared, "the gate is gone".into()));
    }
    // The gate blocks signals to read them from a descriptor, and a mask survives execve: the program would never
    // receive a SIGTERM.
    SigSet::empty()
        .thread_set_mask()
        .map_err(broken("the signal mask"))?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null());
    if orders.answers {
        if orders.source.is_some() {
            return Err(stranger());
        }
        place(std::io::stdin(), SOCKET_FD)?;
        // execve(2) keeps the process id.
        command.env("LISTEN_FDS", "1");
        command.env("LISTEN_PID", getpid().to_string());
    }
    if let Some(source) = &orders.source {
        match source.pin {
            Pin::Descriptor => place(std::io::stdin(), SOURCE_FD)?,
            Pin::Mount => {
                let (path, parent) = (plain(&source.path)?, plain(&source.mount_parent)?);
                place(pin::mounted(&path, &parent)?, SOURCE_FD)?;
            }
        }
    }
    if let Some(folder) = &orders.configuration {
        hold(&plain(folder)?)?;
    }
    match &orders.confinement {
        None => limits_of_a_boot().map_err(broken("the limits"))?,
        Some(confinement) => {
            no_core_file().map_err(broken("the limits"))?;
            confinement
                .enter()
                .map_err(|words| (NotStarted::Unprepared, words))?;
        }
    }
    Ok(command)
}

/// Puts a descriptor where the program expects it, and lets it through execve.
fn place(fd: impl AsFd, number: i32) -> Result<(), Refusal> {
    let placed = fcntl(fd, FcntlArg::F_DUPFD(number)).map_err(broken("fcntl"))?;
    if placed == number {
        Ok(())
    } else {
        Err((
            NotStarted::Unprepared,
            format!("descriptor {number} is taken"),
        ))
    }
}

/// Hands on the folder of the configuration, locked: while the program lives, no gate clears it away.
fn hold(folder: &PlainPath) -> Result<(), Refusal> {
    let opened = PinnedDir::open(folder).map_err(broken("the folder of rclone's configuration"))?;
    let fd = opened
        .fd()
        .try_clone()
        .map_err(|error| (NotStarted::Unprepared, error.to_string()))?;
    let held = Flock::lock(fd, FlockArg::LockSharedNonblock)
        .map_err(|(_, errno)| broken("the lock of rclone's configuration")(errno))?;
    place(&*held, FOLDER_FD)?;
    // The lock belongs to all duplicates of the descriptor, and letting go of one lets go of them all.
    std::mem::forget(held);
    Ok(())
}
