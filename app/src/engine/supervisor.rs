//! The supervisor of one step: a small process between the runner and the command.
//!
//! As "child subreaper" (prctl(2)) it inherits every process of the step that lost its
//! parent, also daemons that forked twice and left group and session, so it knows them
//! all and can stop them all. When the runner dies, the socket closes and the supervisor
//! stops everything: no step outlives its runner.
//!
//! It talks over a socket, its standard input. It is told a command (`order.rs`), and then, a byte each: `t` to terminate
//! politely, `k` to kill; a closed socket means kill. It says, a line each: `started PID`, `failed WHY`, `starved WHY` (no
//! process to be had), `exit CODE`, `signal NUMBER`, and last `end KILLED`, with the number of processes it had to kill.
//! Then no process of the step is left, and it waits for the next command: to start the program for each step costs more
//! than most steps do.

use super::not_started;
use super::order::{self, StepCommand};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// The hidden subcommand by which the runner calls its own binary as a supervisor.
pub const SUBCOMMAND: &str = "__supervise-step";

/// Carries out orders until the runner closes the socket.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(70),
    }
}

fn serve() -> io::Result<()> {
    // The copy is closed on exec, so the command never sees the socket.
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::sys::prctl::set_child_subreaper(true)?;
    restore_descriptor_limit()?;
    leave_room_for_the_runner();
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    while let Some(command) = order::receive(&mut socket)? {
        supervise(command, &mut socket, &signals, &mask)?;
    }
    Ok(())
}

fn supervise(
    command: StepCommand,
    socket: &mut UnixStream,
    signals: &SignalFd,
    mask: &SigSet,
) -> io::Result<()> {
    // The command must not inherit the mask. A child that ends before it is set again is found by the first round of reaping.
    mask.thread_unblock()?;
    let (program, dir) = (command.program.clone(), command.dir.clone());
    let spawned = spawn(command);
    mask.thread_block()?;
    let mut step = match spawned {
        Err(error) => {
            let word = if is_shortage(&error) {
                "starved"
            } else {
                "failed"
            };
            let why = not_started::explain(&program, Path::new(&dir), &error).replace('\n', " ");
            return socket.write_all(format!("{word} {why}\nend 0\n").as_bytes());
        }
        Ok(child) => SupervisedStep {
            main: Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?),
            killed: BTreeSet::new(),
            reports: format!("started {}\n", child.id()),
        },
    };
    // Nothing of the step stays behind, also after a failure from here on.
    let watched = watch(&mut step, socket, signals);
    if watched.is_err() {
        step.kill_all()?;
    }
    step.report(&format!("end {}", step.killed.len()));
    step.tell(socket)
}

/// Starts the command. Only the step's own processes hold its log open afterwards.
fn spawn(command: StepCommand) -> io::Result<Child> {
    let errors = command.output.try_clone()?;
    Command::new(command.program)
        .args(command.args)
        .env_clear()
        .envs(command.env)
        .current_dir(command.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::from(command.output))
        .stderr(Stdio::from(errors))
        .process_group(0)
        .spawn()
}

/// Reports if the system only lacks processes, memory or descriptors at this moment (fork(2), open(2)).
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use nix::libc::{EAGAIN, EMFILE, ENFILE, ENOMEM};
    matches!(
        error.raw_os_error(),
        Some(EAGAIN | ENOMEM | EMFILE | ENFILE)
    )
}

/// Gives the command the customary limit of 1024 descriptors again, which the runner had
/// raised for itself: programs that use select(2) cannot have more.
fn restore_descriptor_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.min(1024), hard)?)
}

/// Processes and threads of the container that steps leave to the runner, its supervisors and `always` steps.
const ROOM: u64 = 64;

/// Keeps a fork bomb in one step from taking the last process of the container (RLIMIT_NPROC counts the processes of
/// this user; it does not bind root, setrlimit(2)). Without a limit of the container there is nothing to keep free.
fn leave_room_for_the_runner() {
    let limit = fs::read_to_string("/sys/fs/cgroup/pids.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    if let (Some(limit), Ok((soft, hard))) = (limit, getrlimit(Resource::RLIMIT_NPROC)) {
        let most = limit.saturating_sub(ROOM).max(limit / 2);
        let _ = setrlimit(Resource::RLIMIT_NPROC, soft.min(most), hard.min(most));
    }
}

fn watch(step: &mut SupervisedStep, socket: &mut UnixStream, signals: &SignalFd) -> io::Result<()> {
    while step.reap()? {
        step.tell(socket)?;
        match wait(socket, signals)? {
            Order::Look => {}
            Order::Terminate => step.signal_all(Signal::SIGTERM),
            Order::Kill => {
                step.kill_all()?;
                break;
            }
        }
    }
    Ok(())
}

enum Order {
    Look,
    Terminate,
    Kill,
}

/// Sleeps until a child ended or the runner said something.
fn wait(socket: &mut UnixStream, signals: &SignalFd) -> io::Result<Order> {
    let (said, ended) = {
        let mut descriptors = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => return Ok(Order::Look),
            other => other?,
        };
        (
            descriptors[0].any() == Some(true),
            descriptors[1].any() == Some(true),
        )
    };
    if ended {
        // Any number of children may stand behind one signal; reaping asks for all.
        while signals.read_signal()?.is_some() {}
    }
    if !said {
        return Ok(Order::Look);
    }
    let mut byte = [0];
    Ok(match socket.read(&mut byte) {
        Ok(1) if byte == *b"t" => Order::Terminate,
        _ => Order::Kill,
    })
}

struct SupervisedStep {
    main: Pid,
    killed: BTreeSet<Pid>,
    /// Lines that the runner was not told yet: the end of the command and of the step are one message where they can be.
    reports: String,
}

impl SupervisedStep {
    /// Collects the processes that ended and reports the command's own end; `false`
    /// when no process of the step is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return Ok(true),
                Ok(WaitStatus::Exited(pid, code)) if pid == self.main => {
                    self.report(&format!("exit {code}"));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.main => {
                    self.report(&format!("signal {}", signal as i32));
                }
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::ECHILD) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn report(&mut self, line: &str) {
        self.reports.push_str(line);
        self.reports.push('\n');
    }

    /// Tells the runner; an error means that it is gone.
    fn tell(&mut self, socket: &mut UnixStream) -> io::Result<()> {
        let reports = std::mem::take(&mut self.reports);
        socket.write_all(reports.as_bytes())
    }

    fn signal_all(&self, signal: Signal) {
        for pid in descendants() {
            // It may have ended meanwhile; its number is not reused before we reap it
            // or its parent does, which is the race every supervisor has.
            let _ = kill(pid, signal);
        }
    }

    /// Kills until nothing is left: a child that forks faster than it is seen is seen next time.
    fn kill_all(&mut self) -> io::Result<()> {
        let mut pause = Duration::from_millis(2);
        while self.reap()? {
            for pid in descendants() {
                if kill(pid, Signal::SIGKILL).is_ok() && pid != self.main {
                    self.killed.insert(pid);
                }
            }
            // A process that hangs in the kernel is looked at ever less often.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        Ok(())
    }
}

/// Living processes below this one.
fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<i32>().ok())
        else {
            continue;
        };
        if let Some((state, parent)) = fs::read_to_string(entry.path().join("stat"))
            .ok()
            .as_deref()
            .and_then(state_and_parent)
            && state != 'Z'
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![Pid::this().as_raw()];
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            found.push(Pid::from_raw(child));
            open.push(child);
        }
    }
    found
}

/// The state and the parent of a process from its `/proc/PID/stat` (proc_pid_stat(5)).
/// The name before them may hold anything, also `)`, so it is skipped from the right.
pub(super) fn state_and_parent(stat: &str) -> Option<(char, i32)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_forge_its_parent() {
        assert_eq!(state_and_parent("12 (sh) S 3 12 12 0"), Some(('S', 3)));
        assert_eq!(state_and_parent("12 (a) Z 1 () R 7 1"), Some(('R', 7)));
        assert_eq!(state_and_parent("12 (x"), None);
    }
}
