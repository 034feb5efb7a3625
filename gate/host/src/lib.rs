//! The operating system, as far as an action may use it.
//!
//! Invariant: actions know the trait and not the kernel. So tests can run them on a fake host, with a clock and
//! programs that the test controls.
#![forbid(unsafe_code)]

mod asked;
pub mod audit;
pub mod caller;
pub mod descendants;
pub mod door;
mod ear;
mod ended;
pub mod handover;
pub mod http;
pub mod leftovers;
pub mod linux;
pub mod program;
mod reading;
mod run;
mod server;
pub mod socket;
mod streams;
mod together;
mod watch;

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use caps::Capability;
use chrono::{NaiveDate, NaiveDateTime};

use crate::program::Program;
use base::clock::{self, Moment};
use base::error::{Failure, Interrupt};
use base::lock::ServiceLock;
use base::names::ServiceName;
use base::ready::ReadyUrl;
use base::reply::Stream;
use privilege::capabilities::Children;

pub use asked::{Answered, Read, Request};
pub use ear::{Ear, Mute, Relay};
pub use ended::{Ended, Exit};

use socket::Socket;

/// Deadline and sources of interruption of an action.
#[derive(Debug, Clone, Copy)]
pub struct Patience<'a> {
    /// The deadline.
    pub until: Instant,
    /// True if a vanished peer or a signal ends the work. False where giving up would leave a service down.
    pub attended: bool,
    /// The lock that is held, by which a `--start` makes itself heard.
    pub lock: Option<&'a ServiceLock>,
    /// The service that may be down until the action ends.
    pub waits: Option<&'a Waits<'a>>,
}

/// A service that a lease may keep down while an action waits for the remote.
#[derive(Debug)]
pub struct Waits<'a> {
    /// Its name.
    pub service: &'a ServiceName,
    /// For how long the action has waited.
    pub waited: Cell<Duration>,
}

impl<'a> Waits<'a> {
    /// An action that did not wait yet.
    #[must_use]
    pub fn of(service: &'a ServiceName) -> Self {
        Self {
            service,
            waited: Cell::new(Duration::ZERO),
        }
    }
}

impl<'a> Patience<'a> {
    /// Ends at the deadline, with the peer, or by a signal.
    #[must_use]
    pub fn attended(until: Instant) -> Self {
        Self {
            until,
            attended: true,
            lock: None,
            waits: None,
        }
    }

    /// Ends at the deadline and not before.
    #[must_use]
    pub fn unattended(until: Instant) -> Self {
        Self {
            until,
            attended: false,
            lock: None,
            waits: None,
        }
    }

    /// Waits for the remote for a short time only while a lease keeps this service down.
    #[must_use]
    pub fn keeping_down(self, waits: &'a Waits<'a>) -> Self {
        Self {
            waits: Some(waits),
            ..self
        }
    }

    /// Ends also when a `--start` of the same service waits.
    #[must_use]
    pub fn yielding(self, lock: &'a ServiceLock) -> Self {
        Self {
            lock: Some(lock),
            ..self
        }
    }
}

/// Standard output of a program, while it runs.
pub trait Feed {
    /// Waits for more; zero at its end, when the program has ended as well.
    ///
    /// # Errors
    /// There is a reason to stop; the caller that runs the program knows it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// One line to the caller.
    fn say(&mut self, stream: Stream, line: &str);
}

/// A program with output that was read while it ran.
#[derive(Debug)]
pub struct Piped {
    /// The way it ended by itself; `None` when the reader ended first.
    pub ended: Option<Ended>,
    /// The result of the reader.
    pub read: Result<(), Failure>,
}

/// The decision about a program that failed while its output was read.
#[derive(Debug)]
pub enum Next {
    /// It was the last one.
    Enough,
    /// This one writes the rest.
    Another(Box<Program<'static>>),
}

/// Asked with the end of a program, and the number of bytes that were read so far.
pub type Resume<'a> = dyn FnMut(&mut dyn Host, &Ended, u64) -> Result<Next, Failure> + 'a;

/// Asked with an answer that broke off, and the number of bytes that were read so far: whether to ask for the rest.
pub type Continue<'a> = dyn FnMut(&mut dyn Host, &Answered, u64) -> Result<bool, Failure> + 'a;

/// The operating system, as actions see it.
pub trait Host {
    /// Now, on the clock that deadlines are measured by.
    fn now(&self) -> Instant;

    /// Now, on the clocks that outlive this process.
    fn moment(&self) -> Moment {
        clock::moment()
    }

    /// Date and time in the host's time zone.
    fn local(&self) -> NaiveDateTime;

    /// The date in the host's time zone.
    fn today(&self) -> NaiveDate {
        self.local().date()
    }

    /// Ends the left-overs of killed gates.
    fn sweep(&mut self) {}

    /// Gives up the powers of root that the rest of an action does not need.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn give_up(&mut self, _left: (&[Capability], Children)) -> Result<(), Failure> {
        Ok(())
    }

    /// The thing that is waited for from here on, in the words of "still waiting for …".
    fn waiting(&mut self, _what: &str) {}

    /// One line to the caller.
    fn say(&mut self, stream: Stream, line: &str);

    /// The reason to stop, if there is one.
    ///
    /// # Errors
    /// The reason.
    fn check(&mut self, patience: &Patience<'_>) -> Result<(), Interrupt>;

    /// Waits a while.
    ///
    /// # Errors
    /// The reason to stop, as soon as there is one.
    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), Interrupt>;

    /// Runs a program to its end, and passes its standard error on.
    ///
    /// # Errors
    /// It could not be started, or was interrupted; no process is left then.
    fn run(&mut self, program: &Program<'_>, patience: &Patience<'_>) -> Result<Ended, Failure> {
        self.run_heard(program, patience, &mut Relay)
    }

    /// Runs a program to its end; its standard error goes to `ear`.
    ///
    /// # Errors
    /// It could not be started, or was interrupted; no process is left then.
    fn run_heard(
        &mut self,
        program: &Program<'_>,
        patience: &Patience<'_>,
        ear: &mut dyn Ear,
    ) -> Result<Ended, Failure>;

    /// Runs programs that only ask at the same time, each to its end or to its own deadline. Their output is captured.
    fn run_together(
        &mut self,
        programs: &[(Program<'_>, Patience<'_>)],
    ) -> Vec<Result<Ended, Failure>> {
        programs
            .iter()
            .map(|(program, patience)| self.run(program, patience))
            .collect()
    }

    /// Runs a program while `reader` reads its standard output, which must be
    /// [`Output::Silent`](crate::program::Output) and tied. The program ends with its reader. When a program fails,
    /// `resume` may supply another one that writes the rest.
    ///
    /// # Errors
    /// It could not be started, or was interrupted; no process is left then.
    fn run_piped(
        &mut self,
        program: &Program<'_>,
        patience: &Patience<'_>,
        ear: &mut dyn Ear,
        reader: &mut dyn FnMut(&mut dyn Feed) -> Result<(), Failure>,
        resume: &mut Resume<'_>,
    ) -> Result<Piped, Failure>;

    /// Starts a program that answers requests on a socket, in place of one that was started before. It runs until
    /// [`Host::end_server`], or until another program is run.
    ///
    /// # Errors
    /// When it could not be started.
    fn start_server(
        &mut self,
        program: Program<'static>,
        _: Socket,
        _: &Patience<'_>,
    ) -> Result<(), Failure> {
        Err(Failure::Tool {
            what: program.what,
            detail: "this host has no place for it".into(),
        })
    }

    /// True while there is a program that can be asked.
    fn has_server(&mut self) -> bool {
        false
    }

    /// Asks the program that answers.
    ///
    /// # Errors
    /// When there is none, or the wait was interrupted; then nothing of the program is left.
    fn request(
        &mut self,
        request: &Request<'_>,
        _: &Patience<'_>,
        _: &mut dyn Ear,
    ) -> Result<Answered, Failure> {
        Err(Failure::Tool {
            what: request.what.to_owned(),
            detail: "no program is there to be asked".into(),
        })
    }

    /// Reads a file from the program that answers while `reader` takes it. Where the answer breaks off, `resume` decides
    /// whether it is asked for the rest.
    ///
    /// # Errors
    /// When there is no such program, or the wait was interrupted; then nothing of the program is left.
    fn request_piped(
        &mut self,
        request: &Request<'_>,
        _: &Patience<'_>,
        _: &mut dyn Ear,
        _: &mut dyn FnMut(&mut dyn Feed) -> Result<(), Failure>,
        _: &mut Continue<'_>,
    ) -> Result<Read, Failure> {
        Err(Failure::Tool {
            what: request.what.to_owned(),
            detail: "no program is there to be asked".into(),
        })
    }

    /// Ends the program that answers, where there is one.
    fn end_server(&mut self) {}

    /// Asks a service whether it answers.
    ///
    /// # Errors
    /// In words, when it does not, or not in time.
    fn ask(&mut self, url: &ReadyUrl, time: Duration) -> Result<(), String> {
        url.ask(time)
    }

    /// Starts this program once more, with these words, as a keeper that outlives this process. Returns when the
    /// keeper has reported that it is ready. `what` is for messages.
    ///
    /// # Errors
    /// When it said something else, or nothing in time.
    fn detach(
        &mut self,
        what: &str,
        words: &[String],
        patience: &Patience<'_>,
    ) -> Result<(), Failure>;
}
