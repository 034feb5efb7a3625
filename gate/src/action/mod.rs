//! The work of each verb: one file a verb, one exhaustive `match`.
//!
//! Invariant: an action starts from a [`Grant`], which only policy can make, and uses the operating system only through
//! [`Host`], locks, leases and pinned directories.

mod approve;
mod archive;
mod ask_remotes;
mod capture;
mod circumstances;
mod databases;
mod download;
pub(crate) mod facts;
mod fetch;
mod fit_rclone;
mod keeping;
mod list;
pub(crate) mod night;
mod one_process;
mod precedence;
mod probe;
mod proof;
mod prune;
mod reading;
mod recover;
mod remedy;
mod remote;
mod restore;
mod room;
mod service;
mod spool;
mod start;
mod status;
mod stop;
mod stops;
mod sync;
mod upload;
mod verify;
mod verify_mirror;
mod versions;
mod waiting;

pub use circumstances::Circumstances;
#[cfg(any(test, fuzzing))]
pub(crate) use list::remote::read as read_listing;
pub(crate) use spool::{has_room, spool_folder};

use std::time::{Duration, Instant};

use crate::policy::{Grant, Order};
use crate::request::table::Report;
use base::dirfd::{PinnedDir, private_dir};
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::names::PlainPath;
use base::reply::Stream;
use base::result_line::{ResultLine, WarningCode};
use base::slots::Slot;
use config::{Config, unusable};
use host::program::{Output, Pin, Profile, Program, Source, Tether};
use host::{Host, Patience};

/// The home of a program that has none of its own.
const NO_HOME: &str = "/run";

/// The interval at which a lock or a service is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// The verbs of requests that wait in slots. Only an administrator makes a restore, and a start does not wait here.
const BOUNDED: [&str; 3] = ["--stop", "--sync", "--archive"];

/// The most requests that look after the leases of other services at the same time.
const LOOKING_AFTER: u32 = 8;

/// The configuration, host and state that every action works with.
pub struct Context<'a> {
    /// The administrator's decisions.
    pub config: &'a Config,
    /// The operating system.
    pub host: &'a mut dyn Host,
    /// The time at which the request came; deadlines count from here.
    pub started: Instant,
    /// The one rclone process that takes tasks as requests, if there is one.
    pub one_process: Option<one_process::OneProcess>,
}

/// Carries out a grant. Returns a sentence about the result, or an empty one if the result has been told already.
///
/// # Errors
/// When the action failed.
pub fn execute(
    grant: &Grant,
    context: &mut Context<'_>,
    circumstances: &Circumstances,
) -> Result<String, Failure> {
    let until = context.started + grant.timeout();
    let outcome = carry_out(grant, context, circumstances, until);
    context.end_one_process();
    outcome
}

fn carry_out(
    grant: &Grant,
    context: &mut Context<'_>,
    circumstances: &Circumstances,
    until: Instant,
) -> Result<String, Failure> {
    match grant.order() {
        Order::Stop {
            service,
            ask_remotes,
        } => stop::stop(context, service, *ask_remotes, until, grant.timeout()),
        Order::Start(service) => start::start(context, service, until, grant.timeout()),
        Order::Sync(mirror) => sync::sync(context, mirror, circumstances, until),
        Order::Archive(archive) => archive::archive(context, archive, circumstances, until),
        Order::Recover { service, boot } => {
            recover::recover(context, service.as_ref(), *boot, until)
        }
        Order::Approve { lock } => approve::approve(context, lock),
        Order::Restore(order) => restore::restore(context, order, until),
        Order::Verify(wanted) => verify::verify(context, wanted, until),
        Order::VerifyMirror(wanted) => verify_mirror::verify(context, wanted, until),
        Order::Report {
            report,
            service,
            json,
        } => {
            let service = service.as_ref();
            match report {
                Report::List => list::list(context, service, *json, until),
                Report::Status => status::status(context, service, *json, until),
            }
        }
    }
}

/// Looks after the processes and leases of killed gates, before an action. A start serves its own service first, so it
/// leaves the leases of others to [`guard_after`]. Returns the circumstances of a copy.
pub fn guard(grant: &Grant, context: &mut Context<'_>) -> Circumstances {
    warn_of_unusable(context);
    guard_others(grant, context);
    Circumstances::ask(context, grant)
}

/// Warns of each table of the configuration that is not in force.
fn warn_of_unusable(context: &mut Context<'_>) {
    for one in unusable::tables(context.config) {
        context.warn(format!(
            "warning: {} is not in force: {}",
            one.place, one.reason
        ));
    }
}

fn guard_others(grant: &Grant, context: &mut Context<'_>) {
    let except = match grant.order() {
        // These touch no service.
        Order::Approve { .. } | Order::Report { .. } => return,
        Order::Stop { service, .. } => Some(service),
        Order::Sync(_)
        | Order::Archive(_)
        | Order::Start(_)
        | Order::Recover { .. }
        | Order::Verify(_)
        | Order::VerifyMirror(_)
        | Order::Restore(_) => None,
    };
    // Enough requests are looking after leases already; one more would only slow them down.
    let slot = Slot::take(&context.config.lock_dir, "looking-after", LOOKING_AFTER);
    if matches!(slot, Ok(None)) && !matches!(grant.order(), Order::Start(_) | Order::Recover { .. })
    {
        return;
    }
    context.host.sweep();
    if !matches!(grant.order(), Order::Start(_)) {
        capture::sweep_all(context, None, context.started + grant.timeout());
    }
    // `--recover` and `--start` look after leases later.
    if !matches!(grant.order(), Order::Recover { .. } | Order::Start(_)) {
        keeping::guard(context, except, context.started + grant.timeout());
    }
}

/// Looks after the leases of other services once a start has given its answer, in the remaining time.
pub fn guard_after(grant: &Grant, context: &mut Context<'_>) {
    if let Order::Start(service) = grant.order() {
        capture::sweep_all(context, None, context.started + grant.timeout());
        keeping::guard(context, Some(service), context.started + grant.timeout());
    }
}

impl Context<'_> {
    fn say(&mut self, line: impl AsRef<str>) {
        self.host.say(Stream::Out, line.as_ref());
    }

    fn warn(&mut self, line: impl AsRef<str>) {
        self.host.say(Stream::Err, line.as_ref());
    }

    /// Warns, and tells the runner: see `result_line`.
    fn alert(&mut self, code: WarningCode, subject: &str, message: &str) {
        self.warn(message);
        self.say(ResultLine::warning(code, subject, message).to_string());
    }

    /// Waits for the lock of a service until the deadline. A start that waits for the lock comes first. A request waits
    /// in one of `limits.waiting` slots, so that waiting requests cannot fill the host.
    fn lock(
        &mut self,
        name: &LockName,
        verb: &str,
        patience: &Patience<'_>,
    ) -> Result<ServiceLock, Failure> {
        let directory = &self.config.lock_dir;
        let subject = name.subject();
        let locking = || Failure::io(format!("the lock of {subject} in {directory}"));
        let mut slot = None;
        let mut told = false;
        loop {
            let taken = if ServiceLock::is_wanted(directory, name) {
                Ok(None)
            } else {
                ServiceLock::try_take(directory, name, verb)
            };
            if let Some(lock) = taken.map_err(locking())? {
                // The former holder may have been killed.
                self.host.sweep();
                return Ok(lock);
            }
            if slot.is_none() && BOUNDED.contains(&verb) {
                let limit = self.config.limits.waiting;
                let taken = Slot::take(directory, "waiting", limit).map_err(locking())?;
                slot = Some(taken.ok_or(Failure::Crowded(limit))?);
            }
            let holder = ServiceLock::holder(directory, name);
            let holder = holder.unwrap_or_else(|| "another action".into());
            if !told {
                told = true;
                self.host
                    .waiting(&format!("{holder}, which is working on {subject}"));
                self.say(format!(
                    "waiting for {holder}, which is working on {subject}"
                ));
            }
            self.host
                .pause(AGAIN, patience)
                .map_err(|cause| Failure::Interrupted {
                    what: format!("waiting for {holder}, which is working on {subject}"),
                    cause,
                })?;
        }
    }

    /// Opens a directory of the gate's own, and creates it if it is missing.
    fn own_directory(&self, path: &PlainPath) -> Result<std::os::fd::OwnedFd, Failure> {
        private_dir(path, nix::unistd::geteuid().as_raw()).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                let detail = error.to_string();
                return Failure::Path {
                    path: path.to_path_buf(),
                    detail,
                };
            }
            Failure::io(format!("the directory {path}"))(error)
        })
    }

    /// The home of the programs that the gate runs. Commands that stop or start a service have to run even if there is
    /// no room for a home.
    fn home(&self, tether: Tether) -> Result<PlainPath, Failure> {
        let home = self.config.state_dir.below(&["home"]);
        match (self.own_directory(&home), tether) {
            (Err(_), Tether::Free) => PlainPath::parse(NO_HOME).map_err(|error| Failure::Tool {
                what: "the home of a program".into(),
                detail: error.to_string(),
            }),
            (made, _) => made.map(|_| home),
        }
    }

    /// A command that stops, starts or asks a service.
    fn program<'p>(
        &self,
        what: &str,
        argv: Vec<String>,
        tether: Tether,
        output: Output,
    ) -> Result<Program<'p>, Failure> {
        Ok(Program {
            what: what.to_owned(),
            argv,
            source: None,
            tether,
            output,
            profile: Profile::Service,
            home: self.home(tether)?,
        })
    }

    /// The source directory as rclone gets it.
    fn source<'p>(&self, directory: &'p PinnedDir) -> Result<Source<'p>, Failure> {
        let mount_parent = self.config.state_dir.below(&["pin"]);
        if self.config.rclone.pin == Pin::Mount {
            self.own_directory(&mount_parent)?;
            self.own_directory(&mount_parent.below(&["data"]))?;
        }
        Ok(Source {
            directory,
            pin: self.config.rclone.pin,
            mount_parent,
        })
    }
}

#[cfg(test)]
mod tests;
