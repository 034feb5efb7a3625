//! Leases on disk: one file a service, written before anything is stopped.
//!
//! The keeper of a lease holds a lock on its file (flock(2)). So every process can see if a lease is kept, and the
//! kernel releases the lock when the keeper dies.
//!
//! Invariant: a lease is complete or absent, also after a power cut, and each new lease is a new file. A process that
//! holds an old file open sees by its link count that the lease is over.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, geteuid};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Before, KeptBy, Lease, Moment};
use base::dirfd::{entries, private_dir};
use base::durable;
use base::holder::holder;
use base::names::{PlainPath, ServiceName};
use base::sort;

/// The number of attempts before a lock counts as held by a keeper.
const ATTEMPTS: u32 = 20;

/// The directory of the leases.
#[derive(Debug)]
pub struct Leases {
    directory: OwnedFd,
    /// The folder in which the gate's first version stored the state before the stop.
    former: Option<OwnedFd>,
    /// The length of a lease for records of that version, which have none.
    seconds: u32,
}

/// The record of the gate's first version.
#[derive(Deserialize)]
struct FormerLease {
    was_up: bool,
    stopped_at: DateTime<Utc>,
}

impl Leases {
    /// Opens the directory, and makes it if it is missing. `seconds` is the length for leases without one.
    ///
    /// # Errors
    /// When another user can access the directory.
    pub fn open(state_dir: &PlainPath, seconds: u32) -> io::Result<Self> {
        let owner = geteuid().as_raw();
        let former = state_dir.below(&["stopped"]);
        let former = if former.to_path_buf().exists() {
            Some(private_dir(&former, owner)?)
        } else {
            None
        };
        let directory = private_dir(&state_dir.below(&["leases"]), owner)?;
        Ok(Self {
            directory,
            former,
            seconds,
        })
    }

    /// The lease of a service; [`Lease::lost`] for an unreadable one.
    ///
    /// # Errors
    /// When the disk cannot read an existing lease.
    pub fn load(&self, service: &ServiceName) -> io::Result<Option<Lease>> {
        if let Some(file) = read(&self.directory, service)? {
            return parse(file, |lease: Lease| lease);
        }
        let former = self.former.as_ref().map(|former| read(former, service));
        let Some(file) = former.transpose()?.flatten() else {
            return Ok(None);
        };
        parse(file, |record: FormerLease| Lease {
            was_up: record.was_up,
            stopped: Moment {
                utc: record.stopped_at,
                boot: String::new(),
                since_boot_ms: 0,
            },
            seconds: self.seconds,
            kept_by: KeptBy::Nobody,
            back: None,
            before: Before::default(),
            earlier_ms: 0,
            first: None,
        })
    }

    /// Every service that has a lease, readable or not.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn services(&self) -> io::Result<Vec<ServiceName>> {
        let mut names = entries(&self.directory)?;
        if let Some(former) = &self.former {
            names.extend(entries(former)?);
        }
        let mut services: Vec<ServiceName> = names
            .iter()
            .filter_map(|name| ServiceName::parse(name.to_str()?.strip_suffix(".json")?).ok())
            .collect();
        sort::sort(&mut services);
        services.dedup();
        Ok(services)
    }

    /// Puts a lease in place, durably.
    ///
    /// # Errors
    /// When the disk cannot store it; then the former lease, if any, is unchanged.
    pub fn save(&self, service: &ServiceName, lease: &Lease) -> io::Result<()> {
        let bytes = serde_json::to_vec(lease)?;
        durable::replace(&self.directory, &name(service), &bytes)?;
        self.forget_former(service)?;
        // The directory itself may be new.
        durable::keep_folder(&self.directory)
    }

    /// Removes the lease of a service.
    ///
    /// # Errors
    /// When the lease still exists.
    pub fn clear(&self, service: &ServiceName) -> io::Result<()> {
        remove(&self.directory, service)?;
        self.forget_former(service)
    }

    fn forget_former(&self, service: &ServiceName) -> io::Result<()> {
        self.former
            .as_ref()
            .map_or(Ok(()), |former| remove(former, service))
    }

    /// Makes this process the keeper of a lease; `None` if another process keeps it, or there is no lease.
    ///
    /// # Errors
    /// When the file cannot be opened or locked.
    pub fn keep(&self, service: &ServiceName) -> io::Result<Option<Flock<File>>> {
        let Some(mut file) = read(&self.directory, service)? else {
            return Ok(None);
        };
        // Try more than once: another process may be checking the lock, see `is_kept`.
        for _ in 0..ATTEMPTS {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(kept) => return Ok(Some(kept)),
                Err((file, Errno::EWOULDBLOCK)) => file,
                Err((_, errno)) => return Err(errno.into()),
            };
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }

    /// The process that keeps the lease of a service.
    #[must_use]
    pub fn keeper(&self, service: &ServiceName) -> Option<Pid> {
        holder(&read(&self.directory, service).ok()??, None)
    }

    /// True if a process keeps the lease of a service.
    #[must_use]
    pub fn is_kept(&self, service: &ServiceName) -> bool {
        read(&self.directory, service).is_ok_and(|file| {
            file.is_some_and(|file| {
                matches!(
                    Flock::lock(file, FlockArg::LockSharedNonblock),
                    Err((_, Errno::EWOULDBLOCK))
                )
            })
        })
    }
}

fn name(service: &ServiceName) -> String {
    format!("{service}.json")
}

fn read(directory: &OwnedFd, service: &ServiceName) -> io::Result<Option<File>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    match openat(directory, name(service).as_str(), flags, Mode::empty()) {
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
        Ok(fd) => Ok(Some(File::from(fd))),
    }
}

fn parse<T: DeserializeOwned>(
    mut file: File,
    read: impl FnOnce(T) -> Lease,
) -> io::Result<Option<Lease>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(
        serde_json::from_slice(&bytes).map_or_else(|_| Lease::lost(), read),
    ))
}

fn remove(directory: &OwnedFd, service: &ServiceName) -> io::Result<()> {
    durable::remove(directory, &name(service))
}
