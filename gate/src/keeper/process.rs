//! The keeper of one lease on hosts without systemd: a process that sleeps until the lease is over.
//!
//! It starts in two steps, as daemons do: the first process leaves its session, starts the second and ends, so that no
//! parent waits for the second. The keeper holds a lock on the lease's file while it keeps the lease. A second process
//! beside it takes its place when it dies, see `super::standby`.
//!
//! Invariant: the keeper holds no descriptor of the ssh connection it came from. It wakes up only for the end of the
//! lease and for the end of its standby, and it exits as soon as the lease is over.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, fstat};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::{dup2_stdin, dup2_stdout, setsid};

use super::standby::Standby;
use crate::gate::{carry_out, decide};
use crate::lease::Lease;
use crate::lease::store::Leases;
use crate::policy::Grant;
use crate::request::{HostVerb, Request};
use base::clock;
use base::error::{ExitStatus, Failure};
use base::holder::{Suspicion, end};
use base::names::ServiceName;
use base::reply::{Reply, Stream};
use config::Config;
use host::audit::Audit;
use host::caller::{Caller, Door};
use host::program;
use host::program::KEPT;
use privilege::hardening::Surroundings;

/// The word that marks the second process, which is a keeper or its standby.
const STAY: &str = "stay";
const STAND_BY: &str = "stand-by";

/// The shortest time between two starts of a standby.
const REPLACE: Duration = Duration::from_secs(1);

/// The pause after a round of attempts that did not bring the service back.
const ROUND: Duration = Duration::from_secs(60);

/// The time a keeper may be stopped, or wait in the kernel, after its lease has ended.
const HUNG: Duration = Duration::from_secs(2);

/// The interval between checks if the kernel has no more inotify instances.
const LOOK: Duration = Duration::from_secs(30);

/// Runs the first process, which leaves the session and ends. Its parent is the gate, or the keeper that needs a
/// standby.
#[must_use]
pub fn leave(words: &[OsString]) -> u8 {
    let (role, words) = match words.split_first() {
        Some((first, rest)) if first == super::standby::BESIDE => (STAND_BY, rest),
        _ => (STAY, words),
    };
    let started = setsid()
        .map_err(std::io::Error::from)
        .and_then(|_| SigSet::empty().thread_set_mask().map_err(Into::into))
        .and_then(|()| {
            let mut all: Vec<OsString> = vec![super::ENTRY.into(), role.into()];
            all.extend(words.iter().cloned());
            program::second(&all).stdin(Stdio::inherit()).spawn()
        });
    match started {
        // Deliberately not waited for.
        Ok(_) => ExitStatus::Done.code(),
        Err(error) => answer(&format!("a keeper cannot be started: {error}")),
    }
}

/// True if these are the words of the second process.
#[must_use]
pub fn stays(words: &[OsString]) -> bool {
    words
        .first()
        .is_some_and(|word| word == STAY || word == STAND_BY)
}

/// Runs the second process from start to end.
#[must_use]
pub fn stay(words: &[OsString]) -> u8 {
    let Some((role, words)) = words.split_first() else {
        return answer("this is for the gate itself");
    };
    let (config, service) = match words {
        [option, file, verb, service] if option == "--config" && verb == "--recover" => {
            (Some(PathBuf::from(file)), service)
        }
        [verb, service] if verb == "--recover" => (None, service),
        _ => return answer("this is for the gate itself"),
    };
    let service = service
        .to_str()
        .and_then(|name| ServiceName::parse(name).ok());
    let Some(service) = service else {
        return answer("this is for the gate itself");
    };
    // Do every step that can fail before the gate relies on this keeper.
    let ready = Keeping::prepare(config, service, words.to_vec());
    if role == STAND_BY {
        // A standby that cannot prepare itself ends, and the keeper starts another one.
        return match ready {
            Ok(keeping) => keeping.stand_by(),
            Err(failure) => failure.status().code(),
        };
    }
    match ready.and_then(Keeping::begin) {
        Ok(Some(keeper)) => keeper.keep(),
        Ok(None) => ExitStatus::Done.code(),
        Err(failure) => answer(&failure.to_string()),
    }
}

/// Answers the gate with one line.
fn answer(words: &str) -> u8 {
    Reply::default().line(Stream::Out, words);
    ExitStatus::Internal.code()
}

/// Everything that a keeper needs, except the lease.
struct Keeping {
    config: Config,
    audit: Audit,
    service: ServiceName,
    request: Request,
    grant: Grant,
    leases: Leases,
    null: OwnedFd,
    /// The words that name the lease.
    words: Vec<OsString>,
}

impl Keeping {
    fn prepare(
        config: Option<PathBuf>,
        service: ServiceName,
        words: Vec<OsString>,
    ) -> Result<Self, Failure> {
        let config = Config::find(config)?;
        let leases = Leases::open(&config.state_dir, config.lease.seconds)
            .map_err(Failure::io("the leases"))?;
        let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(Failure::errno("/dev/null"))?;
        let request = Request::Host(HostVerb::Recover {
            service: Some(service.clone()),
            boot: false,
        });
        let caller = Caller::new(Door::Host, &Surroundings::default());
        let grant = decide(&config, &caller, &request)?;
        let mut facts = caller.facts();
        facts.push(("keeper", std::process::id().to_string()));
        let mut audit = Audit::new(facts);
        audit.also_to(config.audit_log.as_ref());
        Ok(Self {
            config,
            audit,
            service,
            request,
            grant,
            leases,
            null,
            words,
        })
    }

    /// Takes the lease over from the gate, and tells the gate so; `None` if another process keeps it.
    fn begin(self) -> Result<Option<Keeper>, Failure> {
        let kept = self.lease()?;
        if kept.is_none() && !self.leases.is_kept(&self.service) {
            return Err(Failure::Tool {
                what: format!("keeping the lease of {}", self.service),
                detail: "there is none".into(),
            });
        }
        let keeper = kept.map(|(file, lease)| {
            let mut keeper = Keeper::new(self, file, lease);
            keeper.have_standby();
            keeper
        });
        Reply::default().line(Stream::Out, KEPT);
        if let Some(keeper) = &keeper {
            dup2_stdout(&keeper.keeping.null).map_err(Failure::errno("/dev/null"))?;
        }
        Ok(keeper)
    }

    /// Waits for the end of the keeper, and takes its place if the lease is not over. Ends a keeper that hangs when the
    /// service should be brought back.
    fn stand_by(self) -> u8 {
        let mut suspicion = Suspicion::new(HUNG);
        while !Standby::wait_for_keeper(self.time_to_look()) {
            if let Some(keeper) = self.leases.keeper(&self.service)
                && suspicion.hangs(keeper, Instant::now())
            {
                end(keeper);
            }
        }
        // The other ends of these pipes are closed.
        let silent = dup2_stdin(&self.null).and_then(|()| dup2_stdout(&self.null));
        match self.lease() {
            Ok(Some((file, lease))) if silent.is_ok() && lease.owed() => {
                Keeper::new(self, file, lease).keep()
            }
            // The lease is over, or another process keeps it.
            _ => ExitStatus::Done.code(),
        }
    }

    /// The time until the next check of the keeper.
    fn time_to_look(&self) -> Duration {
        match self.leases.load(&self.service) {
            Ok(Some(lease)) => lease
                .left(&clock::moment())
                .map_or(HUNG / 4, |left| left + HUNG / 4),
            _ => LOOK,
        }
    }

    /// Loads the lease and locks it; `None` if another process holds the lock.
    fn lease(&self) -> Result<Option<(Flock<File>, Lease)>, Failure> {
        let file = self.leases.keep(&self.service);
        let file = file.map_err(Failure::io("the lease"))?;
        let lease = self.leases.load(&self.service);
        Ok(file.zip(lease.map_err(Failure::io("the lease"))?))
    }
}

struct Keeper {
    keeping: Keeping,
    lease: Lease,
    file: Flock<File>,
    watch: Option<Inotify>,
    standby: Option<Standby>,
    /// The time of the last start of a standby.
    replaced: Option<Instant>,
}

impl Keeper {
    fn new(keeping: Keeping, file: Flock<File>, lease: Lease) -> Self {
        let watch = watch(&file);
        Self {
            keeping,
            lease,
            file,
            watch,
            standby: None,
            replaced: None,
        }
    }

    fn keep(mut self) -> u8 {
        while !self.over() {
            match self.lease.left(&clock::moment()) {
                Some(left) => self.sleep(left),
                None => {
                    carry_out(
                        &self.keeping.config,
                        &self.keeping.audit,
                        &self.keeping.request,
                        &self.keeping.grant,
                        Reply::default(),
                    );
                    // The host has blocked signals to read them; while the keeper sleeps they may end it.
                    let _ = SigSet::empty().thread_set_mask();
                    if !self.over() {
                        self.sleep(ROUND);
                    }
                }
            }
        }
        ExitStatus::Done.code()
    }

    /// Starts a standby if there is none; false if it is too early for another one.
    fn have_standby(&mut self) -> bool {
        if self.standby.is_some() {
            return true;
        }
        if self.replaced.is_some_and(|at| at.elapsed() < REPLACE) {
            return false;
        }
        self.replaced = Some(Instant::now());
        // If no standby can start, the keeper keeps the lease anyway and tries again.
        self.standby = Standby::start(&self.keeping.words).ok();
        self.standby.is_some()
    }

    /// True if the lease is over: its file was removed or replaced.
    fn over(&self) -> bool {
        fstat(&*self.file).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// Sleeps for this time, or until the lease's file or the standby changes.
    fn sleep(&mut self, mut time: Duration) {
        if !self.have_standby() {
            time = time.min(REPLACE);
        }
        if self.watch.is_none() {
            time = time.min(LOOK);
        }
        // Use the clock that also runs while the machine sleeps, as the lease does.
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC);
        let timer = timer.and_then(|timer| {
            // Zero would mean "never".
            let time = time.max(Duration::from_millis(1));
            timer.set(
                Expiration::OneShot(TimeSpec::from_duration(time)),
                TimerSetTimeFlags::empty(),
            )?;
            Ok(timer)
        });
        let Ok(timer) = timer else {
            std::thread::sleep(time.min(LOOK));
            return;
        };
        let all = PollFlags::POLLIN;
        let mut fds = vec![PollFd::new(timer.as_fd(), all)];
        fds.extend(
            self.standby
                .as_ref()
                .map(|one| PollFd::new(one.life(), all)),
        );
        fds.extend(self.watch.as_ref().map(|one| PollFd::new(one.as_fd(), all)));
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
        // The standby never writes to the pipe: any event on the pipe means that the standby has died.
        let died = self.standby.is_some() && fds.get(1).is_some_and(|fd| fd.any() == Some(true));
        if let Some(watch) = &self.watch {
            // The kind of event does not matter; reading it prevents another wake-up.
            let _ = watch.read_events();
        }
        if died {
            self.standby = None;
        }
    }
}

/// Watches the file itself, by its descriptor: a change of its link count is a change of its attributes.
fn watch(file: &File) -> Option<Inotify> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    watch
        .add_watch(path.as_str(), AddWatchFlags::IN_ATTRIB)
        .ok()?;
    Some(watch)
}
