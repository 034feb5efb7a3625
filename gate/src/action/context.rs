//! What every action works with: the configuration, the host, the lines to the caller, and the locks.
//!
//! Invariant: a lock is waited for within the request's deadline, and a start that waits for it comes first.

use std::time::{Duration, Instant};

use base::dirfd::{PinnedDir, private_dir};
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::names::{PlainPath, ServiceName};
use base::reply::Stream;
use base::result_line::{ResultLine, WarningCode};
use base::slots::Slot;
use config::Config;
use host::program::{Output, Pin, Profile, Program, Source, Tether};
use host::{Host, Patience};

/// The home of a program that has none of its own.
const NO_HOME: &str = "/run";

/// The interval at which a lock or a service is asked again.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// The verbs of requests that wait in slots. Only an administrator makes a restore, and a start does not wait here.
const BOUNDED: [&str; 3] = ["--stop", "--sync", "--archive"];

/// Rehearsals that may wait for their turn, in slots of their own: they take no place of a backup.
const WAITING_REHEARSALS: u32 = 8;

/// The local folder that the process may use beside its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No local folder.
    Remote,
    /// The process reads files below this folder.
    Reads(PlainPath),
}

/// The state of the one process: its reach, and the number of requests so far.
#[derive(Debug, Clone)]
pub struct OneProcess {
    pub(super) reach: Reach,
    /// The action reports a remote that does not answer, and does not wait for it.
    pub(super) asks_briefly: bool,
    pub(super) requests: u64,
}

/// The configuration, host and state that every action works with.
pub struct Context<'a> {
    /// The administrator's decisions.
    pub config: &'a Config,
    /// The operating system.
    pub host: &'a mut dyn Host,
    /// The time at which the request came; deadlines count from here.
    pub started: Instant,
    /// The one rclone process that takes tasks as requests, if there is one.
    pub one_process: Option<OneProcess>,
}

impl Context<'_> {
    pub(super) fn say(&mut self, line: impl AsRef<str>) {
        self.host.say(Stream::Out, line.as_ref());
    }

    pub(super) fn warn(&mut self, line: impl AsRef<str>) {
        self.host.say(Stream::Err, line.as_ref());
    }

    /// Warns, and tells the runner: see `result_line`.
    pub(super) fn alert(&mut self, code: WarningCode, subject: &str, message: &str) {
        self.warn(message);
        self.say(ResultLine::warning(code, subject, message).to_string());
    }

    /// Waits for the lock of a service until the deadline. A start that waits for the lock comes first. A request waits
    /// in one of `limits.waiting` slots, so that waiting requests cannot fill the host.
    pub(super) fn lock(
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
            let bound = match verb {
                "--rehearse" => Some(("waiting-rehearsals", WAITING_REHEARSALS)),
                verb if BOUNDED.contains(&verb) => Some(("waiting", self.config.limits.waiting)),
                _ => None,
            };
            if let (None, Some((name, limit))) = (&slot, bound) {
                let taken = Slot::take(directory, name, limit).map_err(locking())?;
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

    /// Waits for the turn to upload to a remote: uploads at the same time only slow each other down. An action that
    /// keeps a service down does not wait.
    pub(super) fn upload_turn(
        &mut self,
        service: Option<&ServiceName>,
        verb: &str,
        place: &str,
        patience: &Patience<'_>,
    ) -> Result<Option<ServiceLock>, Failure> {
        let remote = place.split(':').next().unwrap_or_default();
        let name = LockName::upload(remote);
        let leases = self.leases()?;
        let owed = service.is_some_and(|service| {
            let lease = leases.load(service).ok().flatten();
            lease.is_some_and(|lease| lease.owed())
        });
        if owed {
            return ServiceLock::try_take(&self.config.lock_dir, &name, verb)
                .map_err(Failure::io(format!("the turn to upload to {remote}")));
        }
        self.lock(&name, verb, patience).map(Some)
    }

    /// Opens a directory of the gate's own, and creates it if it is missing.
    pub(super) fn own_directory(&self, path: &PlainPath) -> Result<std::os::fd::OwnedFd, Failure> {
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
    pub(super) fn home(&self, tether: Tether) -> Result<PlainPath, Failure> {
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
    pub(super) fn program<'p>(
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
    pub(super) fn source<'p>(&self, directory: &'p PinnedDir) -> Result<Source<'p>, Failure> {
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
