//! The real host.
//!
//! Invariant: one thread, one poll(2) loop. While a program runs, its output, the deadline, signals, the peer
//! and a waiting `--start` are all looked at within a fifth of a second.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{AccessFlags, Pid, access, getpid};

use super::clock;
use super::descendants::{end_all, end_group, reap};
use super::owners::trusted;
use super::{Ear, Ended, Exit, Host, Patience, Relay};
use crate::error::{Failure, Interrupt};
use crate::keeper::process::KEPT;
use crate::program::{self, Output, Profile, Program, Tether};
use crate::reply::{Reply, Stream};

/// The longest time between two looks around.
const TICK: Duration = Duration::from_millis(200);

/// The longest time without a word to the caller.
const SILENCE: Duration = Duration::from_secs(5);

/// The most that is kept of a program's captured output. A year of archives is a tenth of it.
const CAPTURE_LIMIT: usize = 4 << 20;

/// The longest line of standard output that is put together before it is passed on as it is.
const LINE_LIMIT: usize = 4096;

/// How many lines of standard error are remembered.
const LAST_WORDS: usize = 20;

/// Linux, and the two streams to the caller.
#[derive(Debug)]
pub struct LinuxHost {
    reply: Reply,
    signals: SignalFd,
    peer_gone: bool,
    signalled: bool,
    /// What is going on, once somebody wants to be told now and then.
    doing: Option<String>,
}

impl LinuxHost {
    /// Takes over signals. Called once, before anything is started.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take_over(reply: Reply) -> nix::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGCHLD,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self {
            reply,
            signals,
            peer_gone: false,
            signalled: false,
            doing: None,
        })
    }

    /// From now on says something every few seconds, whatever happens. A sudo that records output stands between us
    /// and the ssh client, and finds out that it is gone when it has something to pass on; and so does a TCP
    /// connection whose other end lost its power.
    pub fn keep_talking(&mut self) {
        self.doing = Some("working".into());
    }

    fn now_doing(&mut self, what: &str) {
        if let Some(doing) = &mut self.doing {
            what.clone_into(doing);
        }
    }

    /// Waits at most `time` for output, a signal or the end of the peer.
    fn look(&mut self, time: Duration, pipes: &[PollFd<'_>]) {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let mut fds: Vec<PollFd<'_>> = pipes.to_vec();
        fds.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        let ours = fds.len();
        if !self.peer_gone {
            // No events asked for: POLLERR (pipe) and POLLHUP (socket) come unasked when the reader is gone.
            // Both, because a sudo that records output notices that on the one it has something for.
            fds.push(PollFd::new(out.as_fd(), PollFlags::empty()));
            fds.push(PollFd::new(err.as_fd(), PollFlags::empty()));
        }
        let wait = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        self.peer_gone |= poll(&mut fds, wait).is_ok()
            && fds
                .iter()
                .skip(ours)
                .filter_map(PollFd::revents)
                .any(|seen| seen.intersects(gone));
        if let Some(doing) = &self.doing
            && self.reply.silent_for() >= SILENCE
        {
            self.reply.line(Stream::Err, &format!("still {doing}"));
        }
        while let Ok(Some(info)) = self.signals.read_signal() {
            self.signalled |= info.ssi_signo != Signal::SIGCHLD as u32;
        }
    }

    fn reason(&self, patience: &Patience<'_>) -> Result<(), Interrupt> {
        if Instant::now() >= patience.until {
            return Err(Interrupt::DeadlinePassed);
        }
        if patience.attended {
            if self.signalled {
                return Err(Interrupt::Signalled);
            }
            if self.peer_gone {
                return Err(Interrupt::PeerGone);
            }
        }
        if patience.lock.is_some_and(|lock| lock.wanted()) {
            return Err(Interrupt::Preempted);
        }
        Ok(())
    }
}

impl Host for LinuxHost {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn local(&self) -> NaiveDateTime {
        clock::local()
    }

    fn waiting(&mut self, what: &str) {
        self.now_doing(&format!("waiting for {what}"));
    }

    fn say(&mut self, stream: Stream, line: &str) {
        self.reply.line(stream, line);
    }

    fn check(&mut self, patience: &Patience<'_>) -> Result<(), Interrupt> {
        self.look(Duration::ZERO, &[]);
        self.reason(patience)
    }

    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), Interrupt> {
        let until = Instant::now() + time;
        loop {
            self.reason(patience)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.look(left.min(TICK), &[]);
        }
    }

    fn run_heard(
        &mut self,
        program: &Program<'_>,
        patience: &Patience<'_>,
        ear: &mut dyn Ear,
    ) -> Result<Ended, Failure> {
        let interrupted = |cause| Failure::Interrupted {
            what: program.what.clone(),
            cause,
        };
        self.check(patience).map_err(interrupted)?;
        let path = program.argv.first().map_or("", String::as_str);
        let missing = |source| Failure::ToolMissing {
            program: path.to_owned(),
            source,
        };
        access(path, AccessFlags::X_OK).map_err(|errno| missing(errno.into()))?;
        trusted(&program.argv)?;
        // What a program leaves behind that may outlive us is not ours to end, at this end or at that of a
        // later program.
        set_child_subreaper(program.tether == Tether::Tied).map_err(Failure::errno(path))?;
        // A command that only asks has a reason to be asked, and that is what goes on.
        if program.output == Output::Relayed || program.profile != Profile::Service {
            self.now_doing(&program.what);
        }
        let mut child = program
            .command(getpid())
            .and_then(|mut command| command.spawn())
            .map_err(Failure::io(format!("starting {}", program.what)))?;
        let main = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let mut streams = Streams::new(child.stdout.take(), child.stderr.take());
        let mut exit = None;
        let mut told = false;
        let mut attend = |reply: &mut Reply| {
            if let Err(words) = program.attend()
                && !std::mem::replace(&mut told, true)
            {
                reply.line(Stream::Err, &format!("backupctl: warning: {words}"));
            }
        };
        while exit.is_none() {
            let left = patience.until.saturating_duration_since(Instant::now());
            self.look(left.min(TICK), &streams.pipes());
            streams.pump(program.output, &mut self.reply, ear);
            attend(&mut self.reply);
            exit = reap(main);
            if exit.is_none()
                && let Err(cause) = self.reason(patience)
            {
                match program.tether {
                    Tether::Tied => end_all(main),
                    Tether::Free => end_group(main),
                }
                streams.pump(program.output, &mut self.reply, ear);
                streams.finish(program.output, &mut self.reply, ear);
                attend(&mut self.reply);
                return Err(interrupted(cause));
            }
        }
        // What a tied program left running would go on without anybody to answer for it. The pipes are
        // not read to their end: a daemon that a start command left behind may hold them for years.
        if program.tether == Tether::Tied {
            end_all(main);
        }
        streams.pump(program.output, &mut self.reply, ear);
        streams.finish(program.output, &mut self.reply, ear);
        attend(&mut self.reply);
        Ok(Ended {
            exit: exit.unwrap_or(Exit::Code(crate::program::EXIT_PREPARE)),
            stdout: streams.captured,
            last_words: streams.last_words,
        })
    }

    fn detach(
        &mut self,
        what: &str,
        words: &[String],
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        // Its parent ends at once. It is not to become our child then, to be ended with all others.
        set_child_subreaper(false).map_err(Failure::errno(what))?;
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut child = program::second(&words)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::io(what))?;
        let main = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let mut streams = Streams::new(child.stdout.take(), None);
        // Until the keeper has let go of our pipe, and its parent is gone: while that is on its way out, the
        // keeper would still become our child if we took orphans again.
        let mut gone = false;
        while streams.out.is_some() || !gone {
            self.look(TICK, &streams.pipes());
            streams.pump(Output::Captured, &mut self.reply, &mut Relay);
            gone |= reap(main).is_some();
            if let Err(cause) = self.reason(patience) {
                return Err(Failure::Interrupted {
                    what: what.to_owned(),
                    cause,
                });
            }
        }
        let said = String::from_utf8_lossy(&streams.captured);
        if said.trim() == KEPT {
            return Ok(());
        }
        Err(Failure::Tool {
            what: what.to_owned(),
            detail: format!("the keeper said: {}", said.trim()),
        })
    }
}

/// The two pipes of a running program.
struct Streams {
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    out_line: Vec<u8>,
    err_line: Vec<u8>,
    captured: Vec<u8>,
    last_words: Vec<String>,
}

impl Streams {
    fn new(out: Option<ChildStdout>, err: Option<ChildStderr>) -> Self {
        for fd in [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)]
            .into_iter()
            .flatten()
        {
            // A blocking pipe would only make the loop wait for output; it cannot lose any.
            let _ = fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        }
        let (out_line, err_line) = (Vec::new(), Vec::new());
        Self {
            out,
            err,
            out_line,
            err_line,
            captured: Vec::new(),
            last_words: Vec::new(),
        }
    }

    fn pipes(&self) -> Vec<PollFd<'_>> {
        [
            self.out.as_ref().map(AsFd::as_fd),
            self.err.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect()
    }

    /// Reads what is there and passes it on.
    fn pump(&mut self, output: Output, reply: &mut Reply, ear: &mut dyn Ear) {
        let mut fresh = Vec::new();
        if drain(&mut self.out, &mut fresh) {
            self.out = None;
        }
        match output {
            Output::Relayed => {
                split(&mut self.out_line, &fresh, LINE_LIMIT, |line| {
                    reply.line(Stream::Out, line)
                });
            }
            Output::Captured | Output::Silent => {
                let room = CAPTURE_LIMIT.saturating_sub(self.captured.len());
                self.captured.extend(fresh.iter().take(room));
            }
        }
        fresh.clear();
        if drain(&mut self.err, &mut fresh) {
            self.err = None;
        }
        let last_words = &mut self.last_words;
        split(&mut self.err_line, &fresh, ear.longest_line(), |line| {
            heard(ear, output, reply, last_words, line);
        });
    }

    /// Passes on lines that have no end.
    fn finish(&mut self, output: Output, reply: &mut Reply, ear: &mut dyn Ear) {
        if output == Output::Relayed && !self.out_line.is_empty() {
            reply.line(Stream::Out, &String::from_utf8_lossy(&self.out_line));
        }
        if !self.err_line.is_empty() {
            let line = String::from_utf8_lossy(&self.err_line).into_owned();
            heard(ear, output, reply, &mut self.last_words, &line);
        }
        self.out_line.clear();
        self.err_line.clear();
    }
}

/// Passes on what the ear makes of a line.
fn heard(
    ear: &mut dyn Ear,
    output: Output,
    reply: &mut Reply,
    last_words: &mut Vec<String>,
    line: &str,
) {
    if let Some((stream, text)) = ear.hear(line) {
        if output != Output::Silent {
            reply.line(stream, &text);
        }
        if stream == Stream::Err {
            remember(last_words, &text);
        }
    }
}

fn remember(last_words: &mut Vec<String>, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    if last_words.len() == LAST_WORDS {
        last_words.remove(0);
    }
    last_words.push(line.trim().to_owned());
}

/// Reads what a pipe holds, a bounded amount at a time; true at its end.
fn drain(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> bool {
    let Some(pipe) = pipe else {
        return false;
    };
    let mut buffer = [0_u8; 16 << 10];
    for _ in 0..16 {
        match pipe.read(&mut buffer) {
            Ok(0) => return true,
            Ok(n) => into.extend(buffer.iter().take(n)),
            Err(error) if error.raw_os_error() == Some(Errno::EINTR as i32) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
    false
}

/// Adds bytes to a line, and hands over each line that is complete. A carriage return ends one as well:
/// that is how progress is drawn.
fn split(line: &mut Vec<u8>, bytes: &[u8], longest: usize, mut each: impl FnMut(&str)) {
    for &byte in bytes {
        let ends = byte == b'\n' || byte == b'\r';
        if !ends {
            line.push(byte);
        }
        if (ends && !line.is_empty()) || line.len() >= longest {
            each(&String::from_utf8_lossy(line));
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_across_reads() {
        let (mut line, mut seen) = (Vec::new(), Vec::new());
        for piece in [&b"one\ntw"[..], b"o\r\nthr", b"ee\n"] {
            split(&mut line, piece, LINE_LIMIT, |text| {
                seen.push(text.to_owned())
            });
        }
        assert_eq!(seen, ["one", "two", "three"]);
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_memory() {
        let (mut line, mut pieces) = (Vec::new(), 0);
        split(&mut line, &vec![b'x'; LINE_LIMIT * 3], LINE_LIMIT, |_| {
            pieces += 1;
        });
        assert_eq!((line.len(), pieces), (0, 3));
    }
}
