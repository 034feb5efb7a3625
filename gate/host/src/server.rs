//! A program that stays and answers requests on a socket, until it is ended.
//!
//! Each request has a connection of its own, so nothing of one answer can be taken for a part of the next one.
//!
//! Invariant: while it runs, no other program of the gate does: those end all that descends from the gate. Its answers are read
//! within limits, and one that is not HTTP ends it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::descendants::{end_all, reap};
use super::run::{interrupted, launch, overfilled};
use super::socket::Socket;
use super::streams::Streams;
use super::watch::{TICK, Watched};
use super::{Answered, Ear, Ended, Exit, Patience, Request};
use crate::http::{self, Answer};
use crate::program::{Output, Profile, Program};
use base::error::Failure;
use base::reply::Stream;

/// The longest body of an answer that is kept.
const LONGEST: usize = 16 << 20;

/// How often the progress of a request is asked for.
const PROGRESS: Duration = Duration::from_secs(1);

/// A host with a place for a program that answers.
pub(super) trait Serving: Watched {
    /// The program.
    fn server(&mut self) -> &mut Option<Server>;
}

/// A program that answers.
#[derive(Debug)]
pub(super) struct Server {
    program: Program<'static>,
    pub(super) socket: Socket,
    pub(super) main: Pid,
    pub(super) streams: Streams,
    warned: bool,
    /// The last look at its folders.
    looked: Instant,
}

/// One request and its answer, as far as both have gone.
pub(super) struct Exchange {
    line: UnixStream,
    /// The request, and the number of bytes that were sent.
    request: (Vec<u8>, usize),
    pub(super) answer: Answer,
    pub(super) body: Vec<u8>,
}

impl Exchange {
    pub(super) fn begin(socket: &Socket, request: Vec<u8>) -> io::Result<Self> {
        Ok(Self {
            line: socket.connect()?,
            request: (request, 0),
            answer: Answer::default(),
            body: Vec::new(),
        })
    }

    pub(super) fn poll(&self) -> PollFd<'_> {
        let sends = self.request.1 < self.request.0.len();
        let also = if sends {
            PollFlags::POLLOUT
        } else {
            PollFlags::empty()
        };
        PollFd::new(self.line.as_fd(), PollFlags::POLLIN | also)
    }

    /// Sends and reads without waiting; true once the answer is complete.
    pub(super) fn turn(&mut self) -> Result<bool, String> {
        while let Some(left) = self
            .request
            .0
            .get(self.request.1..)
            .filter(|left| !left.is_empty())
        {
            match self.line.write(left) {
                Ok(0) => return Err("it takes no request".into()),
                Ok(sent) => self.request.1 += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The reason may stand in an answer that came before the request was taken.
                Err(_) => self.request.1 = self.request.0.len(),
            }
        }
        let mut buffer = [0; 16 << 10];
        // Bounded: a program that sends without end must not keep us from looking around.
        for _ in 0..64 {
            if self.answer.is_done() {
                return Ok(true);
            }
            match self.line.read(&mut buffer) {
                Ok(0) => {
                    self.answer.close().map_err(|error| error.to_string())?;
                }
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    let taken = self.answer.take(bytes, &mut self.body);
                    taken.map_err(|error| error.to_string())?;
                    if self.body.len() > LONGEST {
                        return Err(format!("an answer of more than {LONGEST} bytes"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(self.answer.is_done())
    }
}

impl Server {
    /// Starts it with the socket that its program was given.
    pub(super) fn start(
        host: &mut dyn Watched,
        mut program: Program<'static>,
        socket: Socket,
        patience: &Patience<'_>,
    ) -> Result<Self, Failure> {
        let (main, streams) = launch(host, &program, patience)?;
        // Only the program listens from now on: when it has ended, a connection is refused.
        if let Profile::Transfer(transfer) = &mut program.profile {
            transfer.socket = None;
        }
        Ok(Self {
            program,
            socket,
            main,
            streams,
            warned: false,
            looked: Instant::now(),
        })
    }

    /// True while it has not ended by itself.
    pub(super) fn is_alive(&self) -> bool {
        reap(self.main).is_none() && nix::sys::signal::kill(self.main, None).is_ok()
    }

    pub(super) fn pump(&mut self, host: &mut dyn Watched, output: Output, ear: &mut dyn Ear) {
        self.streams.pump(output, &mut host.watch().reply, ear);
        if let Err(words) = self.program.attend()
            && !std::mem::replace(&mut self.warned, true)
        {
            let words = format!("backupctl: warning: {words}");
            host.watch().reply.line(Stream::Err, &words);
        }
    }

    /// The reason to end it: a folder that it filled, or one of the caller's.
    pub(super) fn reason(
        &mut self,
        host: &mut dyn Watched,
        what: &str,
        patience: &Patience<'_>,
    ) -> Option<Failure> {
        if self.looked.elapsed() >= TICK {
            self.looked = Instant::now();
            if let Some(folder) = self.program.overfull() {
                return Some(overfilled(what, folder));
            }
        }
        let cause = host.watch().reason(patience).err()?;
        Some(interrupted(what, cause))
    }

    /// Waits a moment for its end, and tells how it ended.
    pub(super) fn last_moment(&self, host: &mut dyn Watched) -> Option<Exit> {
        let until = Instant::now() + TICK;
        let mut exit = reap(self.main);
        while exit.is_none() && Instant::now() < until {
            host.watch().look(Duration::from_millis(10), &[]);
            exit = reap(self.main);
        }
        exit
    }

    /// Ends it, with all that it started.
    pub(super) fn end(
        mut self,
        host: &mut dyn Watched,
        output: Output,
        ear: &mut dyn Ear,
    ) -> Streams {
        end_all(self.main);
        self.pump(host, output, ear);
        self.streams.finish(output, &mut host.watch().reply, ear);
        self.streams
    }
}

/// Ends a server for good, in the words of a program that ended by itself. One that was ended for its answer has no exit code.
pub(super) fn ended(
    host: &mut dyn Watched,
    server: Server,
    exit: Option<Exit>,
    output: Output,
    ear: &mut dyn Ear,
) -> Ended {
    let streams = server.end(host, output, ear);
    Ended {
        exit: streams.judged(exit),
        stdout: Vec::new(),
        last_words: streams.last_words,
    }
}

/// Sends a request, and waits for its answer.
pub(super) fn request(
    host: &mut dyn Serving,
    request: &Request<'_>,
    patience: &Patience<'_>,
    ear: &mut dyn Ear,
) -> Result<Answered, Failure> {
    set_child_subreaper(true).map_err(Failure::errno("PR_SET_CHILD_SUBREAPER"))?;
    let Some(mut server) = host.server().take() else {
        return Err(Failure::Tool {
            what: request.what.to_owned(),
            detail: "no program is there to be asked".into(),
        });
    };
    host.watch().now_doing(request.what);
    server.streams.last_words.clear();
    let output = request.output;
    let bytes = http::post(request.path, request.body);
    // Where no connection is taken, the program has ended, which is found below.
    let mut main = Exchange::begin(&server.socket, bytes).ok();
    let mut side: Option<Exchange> = None;
    let mut asked = Instant::now();
    loop {
        let left = patience.until.saturating_duration_since(Instant::now());
        let mut fds = server.streams.pipes();
        fds.extend(main.iter().chain(&side).map(Exchange::poll));
        host.watch().look(left.min(TICK), &fds);
        drop(fds);
        server.pump(host, output, ear);
        let exit = reap(server.main);
        let turned = main.as_mut().map(Exchange::turn);
        match turned {
            Some(Ok(true)) => {
                // It wrote its messages before its answer.
                server.pump(host, output, ear);
                let exchange = main.take();
                let (status, body) =
                    exchange.map_or((0, Vec::new()), |it| (it.answer.status(), it.body));
                let last_words = server.streams.last_words.clone();
                if exit.is_none() {
                    *host.server() = Some(server);
                } else {
                    server.end(host, output, ear);
                }
                return Ok(Answered::Answer {
                    status,
                    body,
                    last_words,
                });
            }
            Some(Ok(false)) if exit.is_none() => {}
            turned => {
                // A connection that breaks off may be the end of the program.
                let exit = exit.or_else(|| server.last_moment(host));
                let words = match turned {
                    Some(Err(words)) if exit.is_none() => Some(words),
                    None if exit.is_none() => Some("it takes no connection".to_owned()),
                    _ => None,
                };
                let mut ended = ended(host, server, exit, output, ear);
                ended.last_words.extend(words);
                return Ok(Answered::Ended(ended));
            }
        }
        if ear.has_enough() {
            let exit = Some(Exit::Signal(Signal::SIGKILL as i32));
            return Ok(Answered::Ended(ended(host, server, exit, output, ear)));
        }
        if let Some(failure) = server.reason(host, request.what, patience) {
            server.end(host, output, ear);
            return Err(failure);
        }
        side = progress(host, &server, side, request, &mut asked, ear);
    }
}

/// Asks for the progress of a request from time to time. An answer that makes no sense is left out: the request itself counts.
fn progress(
    host: &mut dyn Watched,
    server: &Server,
    side: Option<Exchange>,
    request: &Request<'_>,
    asked: &mut Instant,
    ear: &mut dyn Ear,
) -> Option<Exchange> {
    let (path, body) = request.progress?;
    let Some(mut exchange) = side else {
        if asked.elapsed() < PROGRESS {
            return None;
        }
        *asked = Instant::now();
        return Exchange::begin(&server.socket, http::post(path, body)).ok();
    };
    match exchange.turn() {
        Ok(false) => Some(exchange),
        Ok(true) => {
            if exchange.answer.status() == 200
                && let Some((stream, line)) = ear.measure(&exchange.body)
            {
                host.watch().reply.line(stream, &line);
            }
            None
        }
        Err(_) => None,
    }
}
