//! Waiting for a remote that throttles, cannot be reached or breaks connections: with growing pauses, until the
//! action's deadline, and only for a short time while a lease keeps a service down.
//!
//! Invariant: the gate waits only for failures that pass by themselves, see [`rclone::passing`]; all others end the
//! action at once.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Context;
use super::remote::{Access, Ran, Task};
use base::error::{Failure, Interrupt};
use base::progress::{Cause, Waiting};
use base::reply::Stream;
use base::result_line::ResultLine;
use host::{Answered, Ended, Feed, Host, Next, Patience, Request, Waits};
use rclone::call::end_of_file;
use rclone::{Listener, Shared};

/// The first pause; rclone's own tries took some seconds before.
const FIRST: Duration = Duration::from_secs(2);

/// The longest pause, unless the remote asks for more.
const LONGEST: Duration = Duration::from_secs(60);

/// The interval of the message that the work stands still.
const TOLD: Duration = Duration::from_secs(5);

/// Pauses between the tries of one task.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// The next pause, at least as long as the remote asks for.
    fn next(&mut self, asked: Duration) -> Duration {
        let pause = self.0.max(asked);
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

impl Context<'_> {
    /// Runs rclone, and retries after a pause while it fails for a reason that passes by itself.
    pub(super) fn rclone_patient(
        &mut self,
        task: &Task<'_>,
        patience: &Patience<'_>,
    ) -> Result<Ran, Failure> {
        let mut pauses = Pauses::new();
        loop {
            let mut heard = Listener::new(task.phase);
            let ended = self.rclone_attempt(task, &mut heard, patience)?;
            if !self.waits_after(task, &ended, &heard, &mut pauses, patience)? {
                return Ok(Ran { ended, heard });
            }
        }
    }

    /// Does the same, and fails unless rclone succeeds.
    pub(super) fn rclone_patient_must(
        &mut self,
        task: &Task<'_>,
        patience: &Patience<'_>,
    ) -> Result<Ran, Failure> {
        let ran = self.rclone_patient(task, patience)?;
        self.judge(task, &ran.ended, &ran.heard)?;
        Ok(ran)
    }

    /// Makes one try, and ends it if the remote has rclone wait for too long.
    pub(super) fn rclone_attempt(
        &mut self,
        task: &Task<'_>,
        heard: &mut Listener,
        patience: &Patience<'_>,
    ) -> Result<Ended, Failure> {
        let mut listener = std::mem::replace(heard, Listener::new(task.phase))
            .waiting_at_most(self.allowed(patience));
        let ended = self.rclone_heard(task, &mut listener, patience);
        *heard = listener;
        let rest = heard.throttled_for(self.host.now());
        let waited = heard.waited().saturating_sub(rest);
        self.account(task.remote, Cause::Throttled, waited, patience);
        ended.map_err(|failure| late(failure, heard, self.host.now()))
    }

    /// The remaining time for waiting; `None` if only the deadline counts.
    fn allowed(&self, patience: &Patience<'_>) -> Option<Duration> {
        let waits = patience.waits.filter(|waits| self.is_down(waits))?;
        let limit = Duration::from_secs(self.config.rclone.wait_while_down.into());
        Some(limit.saturating_sub(waits.waited.get()))
    }

    /// True if a lease keeps the service down at this moment.
    fn is_down(&self, waits: &Waits<'_>) -> bool {
        let leases = self.leases().ok();
        let lease = leases.and_then(|leases| leases.load(waits.service).ok().flatten());
        lease.is_some_and(|lease| lease.owed())
    }

    /// Waits after a failed try. Returns false if the failure does not pass by itself, or no time is left.
    pub(super) fn waits_after(
        &mut self,
        task: &Task<'_>,
        ended: &Ended,
        heard: &Listener,
        pauses: &mut Pauses,
        patience: &Patience<'_>,
    ) -> Result<bool, Failure> {
        let Err(failure) = self.judge(task, ended, heard) else {
            return Ok(false);
        };
        let cause = match heard.throttled_for(self.host.now()) {
            // The run was ended while rclone waited.
            time if !time.is_zero() => Some(Cause::Throttled),
            _ => rclone::passing(&failure),
        };
        let Some(cause) = cause else {
            return Ok(false);
        };
        let pause = pauses.next(heard.throttled_for(self.host.now()));
        if let Some(allowed) = self.allowed(patience)
            && pause > allowed
        {
            let service = patience.waits.map_or("the service", |w| w.service.as_str());
            self.warn(format!(
                "{}: {}; no longer waiting, because {service} is down meanwhile (rclone.wait_while_down)",
                task.what,
                cause.as_str()
            ));
            return Ok(false);
        }
        self.stand_still(task, heard, cause, pause, patience)?;
        Ok(true)
    }

    /// Waits, and says so every few seconds.
    fn stand_still(
        &mut self,
        task: &Task<'_>,
        heard: &Listener,
        cause: Cause,
        pause: Duration,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let begun = self.host.now();
        let until = begun + pause;
        let outcome = loop {
            let left = until.saturating_duration_since(self.host.now());
            if left.is_zero() {
                break Ok(());
            }
            let seconds = left.as_millis().div_ceil(1000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            let line = heard.standing_still(Waiting { cause, seconds });
            self.host.say(Stream::Out, &line);
            if let Err(reason) = self.host.pause(left.min(TOLD), patience) {
                break Err(reason);
            }
        };
        let waited = self.host.now().saturating_duration_since(begun);
        self.account(task.remote, cause, waited, patience);
        outcome.map_err(|reason| match reason {
            Interrupt::DeadlinePassed => Failure::TimedOutWaiting {
                what: task.what.to_owned(),
                cause,
            },
            cause => Failure::Interrupted {
                what: task.what.to_owned(),
                cause,
            },
        })
    }

    /// Adds a time of waiting, and reports it to the runner.
    fn account(&mut self, place: &str, cause: Cause, time: Duration, patience: &Patience<'_>) {
        if time.is_zero() {
            return;
        }
        if let Some(waits) = patience.waits {
            waits.waited.set(waits.waited.get() + time);
        }
        let line = ResultLine::Waited {
            remote: place.split(':').next().unwrap_or_default().to_owned(),
            cause,
            ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        };
        self.say(line.to_string());
    }

    /// Passes a file of the remote to `reader` during the download, and fails unless both succeed. If the connection
    /// breaks, the next try continues at the same byte. `argv` makes the argument vector for that byte.
    pub(super) fn rclone_read(
        &mut self,
        task: &Task<'_>,
        argv: &dyn Fn(u64) -> Vec<String>,
        patience: &Patience<'_>,
        reader: &mut dyn FnMut(&mut dyn Feed) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let allowed = self.allowed(patience);
        let listen = || Listener::new(task.phase).waiting_at_most(allowed);
        let shared = Rc::new(RefCell::new(listen()));
        let mut ear = Shared(Rc::clone(&shared));
        let (config, started) = (self.config, self.started);
        let mut reached = Reached::default();
        let outcome = if let Some((address, one)) = self.address(task) {
            self.start_server(task, &one, patience)?;
            let request = Request {
                what: task.what,
                path: &address,
                body: &[],
                progress: None,
                output: task.output,
            };
            let mut resume = |host: &mut dyn Host, answered: &Answered, read: u64| {
                let mut context = Context {
                    config,
                    host,
                    started,
                    one_process: None,
                };
                let mut heard = shared.replace(listen());
                let ended = end_of_file(answered, &mut heard);
                if !context.goes_on(task, &ended, &heard, &mut reached, read, patience)? {
                    shared.replace(heard);
                    return Ok(false);
                }
                context.start_server(task, &one, patience)?;
                Ok(true)
            };
            let asked = self
                .host
                .request_piped(&request, patience, &mut ear, reader, &mut resume);
            asked.map(|read| {
                let mut heard = shared.borrow_mut();
                let answered = read.answered.as_ref();
                let ended = answered.map(|answered| end_of_file(answered, &mut heard));
                (ended, read.read)
            })
        } else {
            let mut program = self.transfer(task, patience)?;
            program.argv = argv(0);
            let mut resume = |host: &mut dyn Host, ended: &Ended, read: u64| {
                let mut context = Context {
                    config,
                    host,
                    started,
                    one_process: None,
                };
                let heard = shared.replace(listen());
                if !context.goes_on(task, ended, &heard, &mut reached, read, patience)? {
                    shared.replace(heard);
                    return Ok(Next::Enough);
                }
                let next = context.transfer_with(task, argv(read), Access::Remote, patience)?;
                Ok(Next::Another(Box::new(next)))
            };
            let piped = self
                .host
                .run_piped(&program, patience, &mut ear, reader, &mut resume);
            piped.map(|piped| (piped.ended, piped.read))
        };
        let heard = shared.replace(listen());
        let (ended, read) = outcome.map_err(|failure| late(failure, &heard, self.host.now()))?;
        if let Some(ended) = &ended {
            // The output of a failed run or request is incomplete.
            self.judge(task, ended, &heard)?;
        }
        read
    }

    /// Decides if reading continues after a failure, and waits before that.
    fn goes_on(
        &mut self,
        task: &Task<'_>,
        ended: &Ended,
        heard: &Listener,
        reached: &mut Reached,
        read: u64,
        patience: &Patience<'_>,
    ) -> Result<bool, Failure> {
        let further = read > reached.bytes;
        reached.bytes = read;
        if further {
            reached.pauses = Pauses::new();
            reached.stuck = 0;
        }
        let judged = self.judge(task, ended, heard);
        let breaks = judged.as_ref().err().and_then(rclone::passing) == Some(Cause::Broken);
        reached.stuck += u8::from(breaks);
        if reached.stuck > MOST_STUCK {
            return Ok(false);
        }
        let unknown = matches!(judged, Err(Failure::Tool { .. }));
        if unknown && further {
            // An unknown message; the read got further than before, so it is tried again.
            let pause = reached.pauses.next(Duration::ZERO);
            self.stand_still(task, heard, Cause::Broken, pause, patience)?;
            return Ok(true);
        }
        self.waits_after(task, ended, heard, &mut reached.pauses, patience)
    }
}

/// The number of breaks at the same byte after which the file counts as unreadable. rclone 1.60 reports a damaged block of
/// an encrypted file as a connection that broke. The pauses before that take two minutes.
const MOST_STUCK: u8 = 6;

/// The position in the file, and the pauses since then.
struct Reached {
    bytes: u64,
    pauses: Pauses,
    /// The number of times that the connection broke at this position.
    stuck: u8,
}

impl Default for Reached {
    fn default() -> Self {
        Self {
            bytes: 0,
            pauses: Pauses::new(),
            stuck: 0,
        }
    }
}

/// Turns a deadline that passed while the remote had rclone wait into [`Failure::TimedOutWaiting`].
fn late(failure: Failure, heard: &Listener, now: Instant) -> Failure {
    match failure {
        Failure::Interrupted {
            what,
            cause: Interrupt::DeadlinePassed,
        } if !heard.throttled_for(now).is_zero() => Failure::TimedOutWaiting {
            what,
            cause: Cause::Throttled,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_as_long_as_the_remote_asks() {
        let mut pauses = Pauses::new();
        let seconds: Vec<u64> = [0, 0, 43, 0, 0, 0, 120, 0]
            .map(|asked| pauses.next(Duration::from_secs(asked)).as_secs())
            .into();
        assert_eq!(seconds, [2, 4, 43, 16, 32, 60, 120, 60]);
    }
}
