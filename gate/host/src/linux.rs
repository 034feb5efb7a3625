//! The real host.
//!
//! Invariant: one thread, one poll(2) loop. While a program runs, its output, the deadline, signals, the peer
//! and a waiting `--start` are all looked at within a fifth of a second.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use caps::Capability;
use chrono::NaiveDateTime;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::descendants::{end_all, reap};
use super::leftovers;
use super::reading;
use super::run::Run;
use super::server::{self, Server};
use super::socket::Socket;
use super::streams::Streams;
use super::{
    Answered, Continue, Ear, Ended, Feed, Host, Mute, Patience, Piped, Read, Relay, Request, Resume,
};
use crate::program::{self, KEPT, Output, Program};
use base::clock;
use base::error::{Failure, Interrupt};
use base::reply::{Reply, Stream};
use privilege::capabilities::{self, Children};

/// The longest time between two looks around.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// The longest time without a word to the caller.
const SILENCE: Duration = Duration::from_secs(5);

/// Linux, and the two streams to the caller.
#[derive(Debug)]
pub struct LinuxHost {
    pub(super) reply: Reply,
    signals: SignalFd,
    peer_gone: bool,
    signalled: bool,
    /// Current activity for the periodic "still …" message; `None` until `keep_talking` is called.
    doing: Option<String>,
    /// The program that answers requests.
    pub(super) server: Option<Server>,
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
            server: None,
        })
    }

    /// From now on prints a line every few seconds. A sudo that records output stands between the gate and the ssh
    /// client, and notices the end of the client only when it has something to pass on. The same holds for a TCP
    /// connection whose other end lost its power.
    pub fn keep_talking(&mut self) {
        self.doing = Some("working".into());
    }

    /// The activity that the periodic message names.
    pub(super) fn now_doing(&mut self, what: &str) {
        if let Some(doing) = &mut self.doing {
            what.clone_into(doing);
        }
    }

    /// Waits at most `time` for output, a signal or the end of the peer.
    pub(super) fn look(&mut self, time: Duration, pipes: &[PollFd<'_>]) {
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

    /// The reason to stop, if there is one.
    pub(super) fn reason(&self, patience: &Patience<'_>) -> Result<(), Interrupt> {
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

    fn sweep(&mut self) {
        leftovers::sweep();
    }

    fn give_up(&mut self, left: (&[Capability], Children)) -> Result<(), Failure> {
        capabilities::give_up(left)
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
        let mut run = Run::start(self, program, patience, ear)?;
        while run.exit.is_none() {
            run.turn()?;
        }
        Ok(run.end())
    }

    fn run_together(
        &mut self,
        programs: &[(Program<'_>, Patience<'_>)],
    ) -> Vec<Result<Ended, Failure>> {
        super::together::run(self, programs)
    }

    fn run_piped(
        &mut self,
        program: &Program<'_>,
        patience: &Patience<'_>,
        ear: &mut dyn Ear,
        reader: &mut dyn FnMut(&mut dyn Feed) -> Result<(), Failure>,
        resume: &mut Resume<'_>,
    ) -> Result<Piped, Failure> {
        let mut run = Run::start(self, program, patience, ear)?.resuming(resume);
        let read = reader(&mut run);
        if let Some(failure) = run.failure.take() {
            return Err(failure);
        }
        // A reader that has read enough, or cannot continue, needs no more output.
        let by_itself = run.exit.is_some();
        if !by_itself {
            end_all(run.main);
        }
        let ended = run.end();
        Ok(Piped {
            ended: by_itself.then_some(ended),
            read,
        })
    }

    fn start_server(
        &mut self,
        program: Program<'static>,
        socket: Socket,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let server = Server::start(self, program, socket, patience)?;
        self.server = Some(server);
        Ok(())
    }

    fn has_server(&mut self) -> bool {
        if self
            .server
            .as_ref()
            .is_some_and(|server| !server.is_alive())
        {
            self.end_server();
        }
        self.server.is_some()
    }

    fn request(
        &mut self,
        request: &Request<'_>,
        patience: &Patience<'_>,
        ear: &mut dyn Ear,
    ) -> Result<Answered, Failure> {
        server::request(self, request, patience, ear)
    }

    fn request_piped(
        &mut self,
        request: &Request<'_>,
        patience: &Patience<'_>,
        ear: &mut dyn Ear,
        reader: &mut dyn FnMut(&mut dyn Feed) -> Result<(), Failure>,
        resume: &mut Continue<'_>,
    ) -> Result<Read, Failure> {
        reading::read(self, request, patience, ear, reader, resume)
    }

    fn end_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(self, Output::Silent, &mut Mute);
        }
    }

    fn detach(
        &mut self,
        what: &str,
        words: &[String],
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        self.end_server();
        // Its parent ends at once. It is not to become our child then, to be ended with all others.
        set_child_subreaper(false).map_err(Failure::errno(what))?;
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut child = program::second(&words)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::io(what))?;
        let main = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let mut streams = Streams::new(child.stdout.take(), None, None);
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
