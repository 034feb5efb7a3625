//! One run of a program, from its start until no process is left.
//!
//! Invariant: a tied program's descendants are gone when it has ended, by itself or not.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, Pid, access, getpid};

use super::descendants::{end_all, end_group, reap};
use super::streams::Streams;
use super::watch::{TICK, Watched};
use super::{Ear, Ended, Exit, Feed, Next, Patience, Resume};
use crate::program::{Output, Profile, Program, Tether, Token};
use base::error::{Failure, Interrupt};
use base::names::PlainPath;
use base::owners::trusted;
use base::reply::Stream;

/// A program that runs.
pub(super) struct Run<'a> {
    host: &'a mut dyn Watched,
    program: Current<'a>,
    patience: &'a Patience<'a>,
    ear: &'a mut dyn Ear,
    /// Asked for another program when one fails while its output is read.
    resume: Option<&'a mut Resume<'a>>,
    /// Bytes that were read.
    delivered: u64,
    pub(super) main: Pid,
    streams: Streams,
    /// Bytes from the streams, and the number of bytes already read.
    pending: (Vec<u8>, usize),
    /// The way it ended.
    pub(super) exit: Option<Exit>,
    /// The reason for ending it while its output was read: a read can only report that it failed.
    pub(super) failure: Option<Failure>,
    warned: bool,
    /// The last look at the folders that it may fill.
    looked: Instant,
}

/// The program that runs: the first one, or one that writes the rest.
enum Current<'a> {
    First(&'a Program<'a>),
    Another(Box<Program<'static>>),
}

impl Current<'_> {
    fn get(&self) -> &Program<'_> {
        match self {
            Self::First(program) => program,
            Self::Another(program) => program,
        }
    }
}

/// Starts a program; returns its process id and its pipes.
pub(super) fn launch(
    host: &mut dyn Watched,
    program: &Program<'_>,
    patience: &Patience<'_>,
) -> Result<(Pid, Streams), Failure> {
    // The end of a program ends all descendants of the gate, and the server is one.
    host.end_server();
    host.check(patience)
        .map_err(|cause| interrupted(&program.what, cause))?;
    let path = program.argv.first().map_or("", String::as_str);
    access(path, AccessFlags::X_OK).map_err(|errno| Failure::ToolMissing {
        program: path.to_owned(),
        source: errno.into(),
    })?;
    // The caller trusts this program itself.
    if !matches!(program.profile, Profile::Entry(_)) {
        trusted(&program.argv)?;
    }
    // Processes that may outlive the gate are not the gate's to end, neither at the end of this program nor of a later
    // one.
    set_child_subreaper(program.tether == Tether::Tied).map_err(Failure::errno(path))?;
    // A command that only asks is no activity of its own; the action that asks is.
    let asks = program.output != Output::Relayed && matches!(program.profile, Profile::Service);
    if !asks {
        host.watch().now_doing(&program.what);
    }
    let starting = || Failure::io(format!("starting {}", program.what));
    let token = Token::fresh().map_err(starting())?;
    let mut child = program
        .command(getpid(), &token)
        .and_then(|mut command| command.spawn())
        .map_err(starting())?;
    Ok((
        Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)),
        Streams::new(child.stdout.take(), child.stderr.take(), Some(token)),
    ))
}

impl<'a> Run<'a> {
    /// Starts it.
    pub(super) fn start(
        host: &'a mut dyn Watched,
        program: &'a Program<'a>,
        patience: &'a Patience<'a>,
        ear: &'a mut dyn Ear,
    ) -> Result<Self, Failure> {
        let (main, streams) = launch(host, program, patience)?;
        Ok(Self {
            host,
            program: Current::First(program),
            patience,
            ear,
            resume: None,
            delivered: 0,
            main,
            streams,
            pending: (Vec::new(), 0),
            exit: None,
            failure: None,
            warned: false,
            looked: Instant::now(),
        })
    }

    /// Asks `resume` for another program when this one fails while its output is read.
    pub(super) fn resuming(self, resume: &'a mut Resume<'a>) -> Self {
        Self {
            resume: Some(resume),
            ..self
        }
    }

    /// Starts another program for the rest, where there is one; false when there is none.
    fn go_on(&mut self) -> Result<bool, Failure> {
        let Some(resume) = &mut self.resume else {
            return Ok(false);
        };
        end_all(self.main);
        self.streams.finish(
            self.program.get().output,
            &mut self.host.watch().reply,
            self.ear,
        );
        let ended = Ended {
            exit: self.streams.judged(self.exit),
            stdout: Vec::new(),
            last_words: self.streams.last_words.clone(),
        };
        match resume(self.host, &ended, self.delivered)? {
            Next::Enough => {
                self.resume = None;
                Ok(false)
            }
            Next::Another(program) => {
                let (main, streams) = launch(self.host, &program, self.patience)?;
                self.program = Current::Another(program);
                (self.main, self.streams, self.exit) = (main, streams, None);
                Ok(true)
            }
        }
    }

    /// Waits for something to happen, and sees to it. Err when it was ended for a reason.
    pub(super) fn turn(&mut self) -> Result<(), Failure> {
        let left = self
            .patience
            .until
            .saturating_duration_since(Instant::now());
        let wait = if self.exit.is_some() {
            Duration::ZERO
        } else {
            left.min(TICK)
        };
        self.host.watch().look(wait, &self.streams.pipes());
        self.pump();
        if self.exit.is_some() {
            return Ok(());
        }
        self.exit = reap(self.main);
        if self.exit.is_none() && self.ear.has_enough() {
            end_all(self.main);
            self.pump();
            self.exit = Some(Exit::Signal(Signal::SIGKILL as i32));
            return Ok(());
        }
        if self.exit.is_none()
            && self.looked.elapsed() >= TICK
            && let Some(folder) = self.program.get().overfull()
        {
            let failure = overfilled(&self.program.get().what, folder);
            end_all(self.main);
            self.pump();
            self.finish();
            return Err(failure);
        }
        if self.looked.elapsed() >= TICK {
            self.looked = Instant::now();
        }
        if self.exit.is_none()
            && let Err(cause) = self.host.watch().reason(self.patience)
        {
            match self.program.get().tether {
                Tether::Tied => end_all(self.main),
                Tether::Free => end_group(self.main),
            }
            self.pump();
            self.finish();
            return Err(interrupted(&self.program.get().what, cause));
        }
        Ok(())
    }

    /// The rest of its output, and the way it ended.
    pub(super) fn end(mut self) -> Ended {
        // Processes that a tied program left would run on without a parent that answers for them. The pipes are not
        // read to their end: a daemon of a start command may hold them for years.
        if self.program.get().tether == Tether::Tied {
            end_all(self.main);
        }
        self.pump();
        self.finish();
        Ended {
            exit: self.streams.judged(self.exit),
            stdout: self.streams.captured,
            last_words: self.streams.last_words,
        }
    }

    fn pump(&mut self) {
        self.streams.pump(
            self.program.get().output,
            &mut self.host.watch().reply,
            self.ear,
        );
        if let Err(words) = self.program.get().attend()
            && !std::mem::replace(&mut self.warned, true)
        {
            let words = format!("backupctl: warning: {words}");
            self.host.watch().reply.line(Stream::Err, &words);
        }
    }

    fn finish(&mut self) {
        self.streams.finish(
            self.program.get().output,
            &mut self.host.watch().reply,
            self.ear,
        );
    }
}

impl Run<'_> {
    /// The next bytes of this program; none at its end, when its end is known as well.
    fn read_one(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if self.pending.1 == self.pending.0.len() {
            while self.streams.captured.is_empty() && self.streams.out.is_some() {
                // It has ended, and only a descendant could still hold the pipe.
                if self.exit.is_some() {
                    end_all(self.main);
                }
                self.turn()?;
            }
            self.pending.0.clear();
            self.pending.1 = 0;
            std::mem::swap(&mut self.pending.0, &mut self.streams.captured);
        }
        let (bytes, taken) = &mut self.pending;
        let left = bytes.get(*taken..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        *taken += count;
        if count == 0 {
            while self.exit.is_none() {
                self.turn()?;
            }
        }
        Ok(count)
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.read_one(buffer)?;
            self.delivered += count as u64;
            if count > 0 || self.exit == Some(Exit::Code(0)) || !self.go_on()? {
                return Ok(count);
            }
        }
    }
}

impl Feed for Run<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_on(buffer).map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other("interrupted")
        })
    }

    fn say(&mut self, stream: Stream, line: &str) {
        self.host.watch().reply.line(stream, line);
    }
}

/// The failure of a transfer that was ended because it filled a folder.
pub(super) fn overfilled(what: &str, folder: &PlainPath) -> Failure {
    Failure::Tool {
        what: what.to_owned(),
        detail: format!(
            "rclone was ended, because it filled {folder}; look at rclone.program, and at its log"
        ),
    }
}

pub(super) fn interrupted(what: &str, cause: Interrupt) -> Failure {
    Failure::Interrupted {
        what: what.to_owned(),
        cause,
    }
}
