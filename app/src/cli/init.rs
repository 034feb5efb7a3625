//! The first process of a container (PID 1): it starts the server as a child of its own, hands signals on to it, and
//! takes in orphaned processes.
//!
//! Invariant: it knows nothing of the server, so it waits for every child of any parent, and never takes an exit
//! code that the server waits for. It ends as the server does; the kernel ends all others of the container then.
//! (pid_namespaces(7): orphans become children of PID 1, and a signal that PID 1 has no handler for is lost.)

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The signals that mean something to the server, or to a debugger.
const HANDED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Reports if this is the first process of a container.
pub(super) fn is_first() -> bool {
    std::process::id() == 1
}

/// Runs the same command line in a child, until that ends.
///
/// # Errors
/// Where the child cannot be started.
pub(super) fn run() -> io::Result<ExitCode> {
    let mut signals = SigSet::from_iter(HANDED_ON);
    signals.add(Signal::SIGCHLD);
    // Before there is a child: a signal in between would be lost. The child inherits it: see `listen`.
    signals.thread_block()?;
    let mut words = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    let server = command.args(words).spawn()?;
    let server = Pid::from_raw(i32::try_from(server.id()).map_err(io::Error::other)?);
    loop {
        match signals.wait()? {
            // Any number of children may stand behind one signal.
            Signal::SIGCHLD => {
                if let Some(code) = reap(server)? {
                    return Ok(code);
                }
            }
            signal => {
                // It may have ended just now; then SIGCHLD is next.
                let _ = kill(server, signal);
            }
        }
    }
}

/// Lets signals through that an init, or another parent of this process, had blocked. The processes that it
/// starts inherit that.
pub(super) fn listen() {
    // Fails only for a set that is none.
    let _ = SigSet::all().thread_unblock();
}

/// Takes in all who ended; the exit code when the server is one of them.
fn reap(server: Pid) -> io::Result<Option<ExitCode>> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == server => {
                return Ok(Some(exit_code(code)));
            }
            // As a shell tells it.
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == server => {
                return Ok(Some(exit_code(128 + signal as i32)));
            }
            Ok(WaitStatus::StillAlive) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn exit_code(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
