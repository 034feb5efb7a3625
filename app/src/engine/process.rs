//! The supervisors of steps: their start, their reuse, and the talk with one.
//!
//! Invariant: a supervisor watches over one step at a time. While runs go on, one whose step is over waits for the next
//! step; with the last run all of them end.

use super::leftovers::SUPERVISOR_MARK;
use super::order;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

/// Most supervisors that wait for a step.
const MOST_IDLE: usize = 4;

/// The command to execute.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) program: &'a str,
    pub(super) args: &'a [String],
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) dir: &'a Path,
    /// The writing end of the pipe for the step's output.
    pub(super) output: OwnedFd,
}

/// Starts supervisors, and keeps those whose step is over for the next one.
#[derive(Debug, Clone)]
pub struct Supervisors {
    /// The binary that knows how to be a supervisor: this one.
    program: PathBuf,
    /// The data directory, by which a later server finds a supervisor that survived its runner.
    data: PathBuf,
    idle: Arc<Mutex<Vec<Supervised>>>,
}

impl Supervisors {
    /// Supervisors for the steps of the server on `data`; `program` is this binary.
    pub fn new(program: PathBuf, data: &Path) -> Self {
        Self {
            program,
            data: data.to_owned(),
            idle: Arc::default(),
        }
    }

    /// A supervisor without a step: one that waits, or else a new one.
    ///
    /// # Errors
    /// The system gives no process or socket.
    pub(super) fn take(&self) -> io::Result<Supervised> {
        loop {
            let Some(mut idle) = self.idle().pop() else {
                return self.start();
            };
            // One that was killed from outside is no use.
            if matches!(idle.child.try_wait(), Ok(None)) {
                return Ok(idle);
            }
        }
    }

    fn start(&self) -> io::Result<Supervised> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (name, value) = SUPERVISOR_MARK;
        let child = Command::new(&self.program)
            .arg(super::supervisor::SUBCOMMAND)
            .env_clear()
            .env("LIGHTFLOW_DATA_DIR", &self.data)
            .env(name, value)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Keys typed at the runner's terminal are not meant for its steps.
            .process_group(0)
            .spawn()?;
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        Ok(Supervised {
            child,
            reader: BufReader::new(reader),
            writer,
            line: Vec::new(),
            pid: None,
        })
    }

    /// Keeps a supervisor whose step is over for the next one.
    pub(super) fn give_back(&self, mut supervised: Supervised) {
        supervised.pid = None;
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push(supervised);
        }
    }

    /// Ends the supervisors that wait: their sockets close.
    pub(super) fn dismiss(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Supervised>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports if the other end of a socket is gone.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

/// A report of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// The command runs.
    Started,
    /// The command could not be started, and why.
    Failed(String),
    /// The system had no process for the command, and why.
    OutOfResources(String),
    /// The command itself ended with an exit code.
    Exited(i32),
    /// A signal ended the command itself.
    Signalled(i32),
    /// No process of the step is left; this number had to be killed besides the command.
    End { killed: usize },
    /// The supervisor itself is gone without a word.
    Vanished,
}

/// A supervisor that runs, with a step or without one.
#[derive(Debug)]
pub(super) struct Supervised {
    child: Child,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The beginning of the next line; kept here, so that `said` can be dropped midway.
    line: Vec<u8>,
    pid: Option<i32>,
}

impl Supervised {
    /// Tells the supervisor to start a command. A supervisor that is gone is found out by `said`, as one that vanishes later.
    ///
    /// # Errors
    /// The working directory does not exist.
    pub(super) async fn launch(&mut self, what: Launch<'_>) -> io::Result<()> {
        if !what.dir.is_dir() {
            return Err(io::Error::other(format!(
                "the working directory {} does not exist",
                what.dir.display()
            )));
        }
        let text = order::text(what.dir, what.program, what.args, what.env)?;
        let socket: &UnixStream = self.writer.as_ref();
        let begun = order::begin(socket, &what.output);
        drop(what.output);
        let sent = match begun {
            Ok(()) => self.writer.write_all(&text).await,
            Err(error) => Err(error),
        };
        match sent {
            Err(error) if is_gone(&error) => Ok(()),
            sent => sent,
        }
    }

    /// The next report of the supervisor. Safe to drop and call again.
    pub(super) async fn said(&mut self) -> Said {
        loop {
            match self.reader.read_until(b'\n', &mut self.line).await {
                Ok(_) if self.line.ends_with(b"\n") => {}
                _ => return Said::Vanished,
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            let (word, rest) = line.trim_end().split_once(' ').unwrap_or((&line, ""));
            let number = || rest.parse::<i32>().ok();
            match (word, number()) {
                ("started", pid) => {
                    self.pid = pid;
                    return Said::Started;
                }
                ("failed", _) => return Said::Failed(rest.to_owned()),
                ("starved", _) => return Said::OutOfResources(rest.to_owned()),
                ("exit", Some(code)) => return Said::Exited(code),
                ("signal", Some(signal)) => return Said::Signalled(signal),
                ("end", Some(killed)) => {
                    return Said::End {
                        killed: usize::try_from(killed).unwrap_or(0),
                    };
                }
                _ => tracing::warn!(line, "the supervisor of a step said something unknown"),
            }
        }
    }

    /// Reports if the next report has come already.
    pub(super) fn has_said_more(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// Asks all processes of the step to end.
    pub(super) async fn terminate(&mut self) {
        self.tell(b"t").await;
    }

    /// Kills all processes of the step.
    pub(super) async fn kill(&mut self) {
        self.tell(b"k").await;
    }

    async fn tell(&mut self, order: &[u8]) {
        // A supervisor that is gone needs no orders; `said` finds out.
        let _ = self.writer.write_all(order).await;
    }

    /// Collects a supervisor that vanished. It cannot clean up any more, so the command's process group is killed from here.
    pub(super) async fn close(mut self) -> String {
        if let Some(pid) = self.pid {
            let group = nix::unistd::Pid::from_raw(-pid);
            let _ = nix::sys::signal::kill(group, nix::sys::signal::Signal::SIGKILL);
        }
        // One that hangs in the kernel is left to the runtime to collect.
        match tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not end".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_supervisor_that_is_gone_before_its_order_has_vanished() {
        // This one ends at once, and reads nothing.
        let supervisors = Supervisors::new("/bin/true".into(), Path::new("/"));
        let mut supervised = supervisors.start().unwrap();
        supervised.child.wait().await.unwrap();
        let (_, output) = std::io::pipe().unwrap();
        let what = Launch {
            program: "true",
            args: &[],
            env: &BTreeMap::new(),
            dir: Path::new("/"),
            output: output.into(),
        };
        supervised.launch(what).await.unwrap();
        assert_eq!(supervised.said().await, Said::Vanished);
    }
}
