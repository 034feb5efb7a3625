//! The real host.
//!
//! Invariant: one thread, one poll(2) loop. While a program runs, its output, the deadline, signals, the peer
//! and a waiting `--start` are all looked at within a fifth of a second.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::{Duration, Instant};

use caps::Capability;
use chrono::NaiveDateTime;
use nix::sys::prctl::set_child_subreaper;
use nix::unistd::Pid;

use super::descendants::{end_all, reap};
use super::leftovers;
use super::reading;
use super::run::Run;
use super::server::{self, Server, Serving};
use super::socket::Socket;
use super::streams::Streams;
use super::watch::{TICK, Watch, Watched};
use super::{
    Answered, Continue, Ear, Ended, Feed, Host, Mute, Patience, Piped, Read, Relay, Request, Resume,
};
use crate::program::{self, KEPT, Output, Program};
use base::clock;
use base::error::{Failure, Interrupt};
use base::reply::{Reply, Stream};
use privilege::capabilities::{self, Children};

/// Linux, and the two streams to the caller.
#[derive(Debug)]
pub struct LinuxHost {
    watch: Watch,
    /// The program that answers requests.
    server: Option<Server>,
}

impl LinuxHost {
    /// Takes over signals. Called once, before anything is started.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take_over(reply: Reply) -> nix::Result<Self> {
        Ok(Self {
            watch: Watch::take_over(reply)?,
            server: None,
        })
    }

    /// From now on prints a line every few seconds. A sudo that records output stands between the gate and the ssh
    /// client, and notices the end of the client only when it has something to pass on. The same holds for a TCP
    /// connection whose other end lost its power.
    pub fn keep_talking(&mut self) {
        self.watch.keep_talking();
    }
}

impl Watched for LinuxHost {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }
}

impl Serving for LinuxHost {
    fn server(&mut self) -> &mut Option<Server> {
        &mut self.server
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
        self.watch.now_doing(&format!("waiting for {what}"));
    }

    fn say(&mut self, stream: Stream, line: &str) {
        self.watch.reply.line(stream, line);
    }

    fn check(&mut self, patience: &Patience<'_>) -> Result<(), Interrupt> {
        self.watch.look(Duration::ZERO, &[]);
        self.watch.reason(patience)
    }

    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), Interrupt> {
        let until = Instant::now() + time;
        loop {
            self.watch.reason(patience)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.watch.look(left.min(TICK), &[]);
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
            self.watch.look(TICK, &streams.pipes());
            streams.pump(Output::Captured, &mut self.watch.reply, &mut Relay);
            gone |= reap(main).is_some();
            if let Err(cause) = self.watch.reason(patience) {
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
