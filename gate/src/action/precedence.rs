//! The lock of a service for actions that bring the service back: they come first.
//!
//! A sync or an archive that holds the lock is asked to give way. If it cannot, because it was stopped by a signal or
//! waits for a file system that does not answer, it is ended. If even that does not free the lock in time, or if there
//! is no room for a lock file, the start proceeds without the lock: a service that stays down is worse than a copy that
//! has to be made again.
//!
//! Invariant: a start spends at most half of its time on the lock.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::{AGAIN, Context};
use base::error::Failure;
use base::holder::{Suspicion, end};
use base::lock::{ServiceLock, StartIntent};
use base::lock_name::LockName;
use base::names::ServiceName;
use host::Patience;

/// The time after which a lock holder that is stopped, or waits in the kernel, counts as hung.
const HUNG: Duration = Duration::from_secs(5);

/// The time for a copy to give way: its programs get some seconds to end.
const GIVE_WAY: Duration = Duration::from_secs(15);

/// The time for a killed process to die.
const DYING: Duration = Duration::from_secs(2);

/// The holders that end soon when they are asked to give way, by the words in their lock. A `--stop` does so too, but
/// first brings the service back itself.
const GIVES_WAY: [&str; 3] = ["--sync", "--archive", "its lease"];

/// Takes the lock for a start. Returns `None` if the start has to proceed without the lock; the reason has then been
/// told.
pub(super) fn lock_first(
    context: &mut Context<'_>,
    service: &ServiceName,
    verb: &str,
    patience: &Patience<'_>,
) -> Result<Option<ServiceLock>, Failure> {
    let directory = &context.config.lock_dir;
    let name = &LockName::service(service);
    let begun = context.host.now();
    let time = patience.until.saturating_duration_since(begun);
    let mut siege = Siege::new(begun, time);
    let mut intent: Option<StartIntent> = None;
    // For the end of a lease, which does not break off a stop but still comes before the waiting requests.
    let mut next: Option<StartIntent> = None;
    loop {
        match ServiceLock::try_take(directory, name, verb) {
            Ok(Some(lock)) => {
                // After the death of a gate, its stop command may still be running.
                context.host.sweep();
                return Ok(Some(lock));
            }
            Ok(None) => {}
            Err(error) => {
                context.warn(format!(
                    "the lock of {service} in {directory} cannot be taken ({error}); starting {service} without it"
                ));
                return Ok(None);
            }
        }
        let held = ServiceLock::process(directory, name);
        let words = held.as_ref().map(|(_, words)| words.clone());
        let words = words
            .filter(|words| !words.is_empty())
            .unwrap_or_else(|| "another action".into());
        // The end of a lease does not break off a stop: that has a deadline of its own, and ends with the service down
        // or up.
        let heard = verb != "--recover" || !words.starts_with("--stop");
        if !heard {
            intent = None;
            if next.as_ref().is_none_or(|next| !next.is_known()) {
                next = StartIntent::come_next(directory, name).ok().or(next);
            }
        } else if intent.as_ref().is_none_or(|intent| !intent.is_known()) {
            // Without an intent the holder does not learn of this start, and is ended when its time to give way is
            // over.
            intent = StartIntent::announce(directory, name).ok().or(intent);
        }
        if !std::mem::replace(&mut siege.told, true) {
            context.host.waiting(&format!("{words} to give way"));
            context.say(format!("asking {words} to give way"));
        }
        let now = context.host.now();
        match siege.look(held.map(|(pid, _)| pid), &words, now) {
            Next::Wait => {}
            Next::Ended(reason) => {
                context.warn(format!(
                    "{words} {reason}; it is ended, so that {service} can start"
                ));
            }
            Next::GoOn => {
                context.warn(format!(
                    "{words} holds the lock of {service} and cannot be ended; starting {service} without the lock"
                ));
                context.host.sweep();
                return Ok(None);
            }
        }
        context
            .host
            .pause(AGAIN, patience)
            .map_err(|cause| Failure::Interrupted {
                what: format!("waiting for {words}, which is working on {service}"),
                cause,
            })?;
    }
}

/// The next step of a start that waits for the lock.
enum Next {
    Wait,
    /// The holder was ended, for this reason.
    Ended(&'static str),
    /// The holder does not die; proceed without the lock.
    GoOn,
}

/// The wait for a lock, and the process that holds it.
struct Siege {
    begun: Instant,
    give_way: Duration,
    dying: Duration,
    suspicion: Suspicion,
    /// The holder that was ended, and the time of its end.
    ended: Option<(Pid, Instant)>,
    told: bool,
}

impl Siege {
    fn new(begun: Instant, time: Duration) -> Self {
        Self {
            begun,
            give_way: GIVE_WAY.min(time / 3),
            dying: DYING.min(time / 8),
            suspicion: Suspicion::new(HUNG.min(time / 4)),
            ended: None,
            told: false,
        }
    }

    fn look(&mut self, held: Option<Pid>, words: &str, now: Instant) -> Next {
        let Some(pid) = held else {
            return Next::Wait;
        };
        if let Some((victim, at)) = self.ended {
            if victim != pid {
                // Another process took the lock meanwhile.
                self.ended = None;
                self.begun = now;
            } else if now.duration_since(at) >= self.dying {
                return Next::GoOn;
            } else {
                return Next::Wait;
            }
        }
        let gives_way = GIVES_WAY.iter().any(|verb| words.starts_with(verb));
        let reason = if self.suspicion.hangs(pid, now) {
            "does not run any more"
        } else if gives_way && now.duration_since(self.begun) >= self.give_way {
            "does not give way"
        } else {
            return Next::Wait;
        };
        end(pid);
        self.ended = Some((pid, now));
        Next::Ended(reason)
    }
}
