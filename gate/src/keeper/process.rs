//! The keeper of one lease, where there is no systemd: a process that sleeps until the lease is over.
//!
//! It comes about in two steps, as daemons do: the first process leaves the session it was started in and starts
//! the second, which then is nobody's child. It holds a lock on the lease's file for as long as it keeps it.
//!
//! Invariant: it holds nothing of the ssh connection it came from, wakes up for the end of the lease and for
//! nothing else, and is gone as soon as the lease is.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, fstat};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::{chdir, dup2_stdout, setsid};

use crate::audit::Audit;
use crate::caller::{Caller, Door};
use crate::config::Config;
use crate::error::{ExitStatus, Failure};
use crate::gate::{carry_out, decide, load};
use crate::hardening::Surroundings;
use crate::host::clock;
use crate::lease::Lease;
use crate::lease::store::Leases;
use crate::names::ServiceName;
use crate::policy::Grant;
use crate::program;
use crate::reply::{Reply, Stream};
use crate::request::{HostVerb, Request};

/// What the keeper says to the gate once the gate may rely on it.
pub const KEPT: &str = "kept";

/// The word by which the second process knows that it is that.
const STAY: &str = "stay";

/// How long to wait after a round of attempts that did not bring the service back.
const ROUND: Duration = Duration::from_secs(60);

/// How often to look where the kernel has no more inotify instances to give.
const LOOK: Duration = Duration::from_secs(30);

/// The first process: out of the session, and away. It is what the gate waits for.
#[must_use]
pub fn leave(words: &[OsString]) -> u8 {
    let started = setsid()
        .map_err(std::io::Error::from)
        .and_then(|_| SigSet::empty().thread_set_mask().map_err(Into::into))
        .and_then(|()| {
            let mut all: Vec<OsString> = vec![super::ENTRY.into(), STAY.into()];
            all.extend(words.iter().cloned());
            program::second(&all).spawn()
        });
    match started {
        // Not waited for: that is the point.
        Ok(_) => ExitStatus::Done.code(),
        Err(error) => answer(&format!("a keeper cannot be started: {error}")),
    }
}

/// Whether these are the words of the second process.
#[must_use]
pub fn stays(words: &[OsString]) -> bool {
    words.first().is_some_and(|word| word == STAY)
}

/// The second process, in its whole length.
#[must_use]
pub fn stay(words: &[OsString]) -> u8 {
    let (config, service) = match words {
        [_, option, file, verb, service] if option == "--config" && verb == "--recover" => {
            (Some(PathBuf::from(file)), service)
        }
        [_, verb, service] if verb == "--recover" => (None, service),
        _ => return answer("this is for the gate itself"),
    };
    let service = service
        .to_str()
        .and_then(|name| ServiceName::parse(name).ok());
    let Some(service) = service else {
        return answer("this is for the gate itself");
    };
    match Keeper::take_over(config, service) {
        Ok(Some(keeper)) => keeper.keep(),
        Ok(None) => ExitStatus::Done.code(),
        Err(failure) => answer(&failure.to_string()),
    }
}

/// The gate reads one line.
fn answer(words: &str) -> u8 {
    Reply::default().line(Stream::Out, words);
    ExitStatus::Internal.code()
}

struct Keeper {
    config: Config,
    audit: Audit,
    request: Request,
    grant: Grant,
    lease: Lease,
    file: Flock<File>,
    watch: Option<Inotify>,
}

impl Keeper {
    /// Everything that can fail, before the gate is told that it may go on.
    fn take_over(config: Option<PathBuf>, service: ServiceName) -> Result<Option<Self>, Failure> {
        let io = |what: &str| Failure::errno(what.to_owned());
        chdir("/").map_err(io("chdir"))?;
        let config = load(config)?;
        let leases = Leases::open(&config.state_dir, config.lease.seconds)
            .map_err(Failure::io("the leases"))?;
        let file = leases.keep(&service).map_err(Failure::io("the lease"))?;
        let lease = leases.load(&service).map_err(Failure::io("the lease"))?;
        let null = open(
            "/dev/null",
            OFlag::O_WRONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(io("/dev/null"))?;
        let kept = file.zip(lease);
        if kept.is_none() && !leases.is_kept(&service) {
            return Err(Failure::Tool {
                what: format!("keeping the lease of {service}"),
                detail: "there is none".into(),
            });
        }
        let request = Request::Host(HostVerb::Recover {
            service: Some(service),
            boot: false,
        });
        let caller = Caller::new(Door::Host, &Surroundings::default());
        let grant = decide(&config, &caller, &request)?;
        let mut facts = caller.facts();
        facts.push(("keeper", std::process::id().to_string()));
        let mut audit = Audit::new(facts);
        audit.also_to(config.audit_log.as_ref());
        Reply::default().line(Stream::Out, KEPT);
        dup2_stdout(&null).map_err(io("/dev/null"))?;
        Ok(kept.map(|(file, lease)| {
            let watch = watch(&file);
            Self {
                config,
                audit,
                request,
                grant,
                lease,
                file,
                watch,
            }
        }))
    }

    fn keep(self) -> u8 {
        while !self.over() {
            match self.lease.left(&clock::moment()) {
                Some(left) => self.sleep(left),
                None => {
                    carry_out(
                        &self.config,
                        &self.audit,
                        &self.request,
                        &self.grant,
                        Reply::default(),
                    );
                    // The host has blocked signals to read them; while we sleep they may end us.
                    let _ = SigSet::empty().thread_set_mask();
                    if !self.over() {
                        self.sleep(ROUND);
                    }
                }
            }
        }
        ExitStatus::Done.code()
    }

    /// Whether the lease is: its file was removed, or another one has its place.
    fn over(&self) -> bool {
        fstat(&*self.file).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// Sleeps for so long, or until something happens to the lease's file.
    fn sleep(&self, time: Duration) {
        // Counted by the clock that goes on while the machine sleeps, as the lease is.
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC);
        let time = if self.watch.is_some() {
            time
        } else {
            time.min(LOOK)
        };
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
        let mut fds = vec![PollFd::new(timer.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            self.watch
                .as_ref()
                .map(|watch| PollFd::new(watch.as_fd(), PollFlags::POLLIN)),
        );
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
        if let Some(watch) = &self.watch {
            // What it was does not matter; it only must not wake us again.
            let _ = watch.read_events();
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
