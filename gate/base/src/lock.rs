//! One action at a time for each service, by flock(2).
//!
//! Three files for each service: the action holds `NAME.lock`, a `--start` that waits for it holds `NAME.start`, and the end of a
//! lease that waits for a stop holds `NAME.next`. A sync or an archive looks at the second one while it works, and gives way. No
//! signal goes to a process id that might belong to another process by now, and the kernel releases the locks when a holder dies.
//!
//! An archive has a lock of its own (`archive.NAME.lock`) until it is uploaded, as has a sync (`mirror.NAME.lock`), and
//! that of the service only while it reads. The lock of a service is the last that an action waits for while it holds
//! others, apart from the turn to upload. [`LockName`] names the files.
//!
//! Invariant: the holder of a [`ServiceLock`] is alone with the service.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::dirfd::private_dir;
use crate::holder;
use crate::lock_name::LockName;
use crate::names::{PlainPath, ServiceName};

/// The lock of one service, held.
#[derive(Debug)]
pub struct ServiceLock {
    _held: Flock<File>,
    directory: OwnedFd,
    name: String,
}

/// The wish of a `--start`, made known.
#[derive(Debug)]
pub struct StartIntent {
    _held: Option<Flock<File>>,
}

fn file(directory: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    Ok(openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)?)
}

fn try_flock(file: File, kind: FlockArg) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(file, kind) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

impl ServiceLock {
    /// Takes the lock if it is free, and writes into it who holds it.
    ///
    /// # Errors
    /// When the lock directory is not ours alone or the file cannot be made.
    pub fn try_take(
        directory: &PlainPath,
        name: &LockName,
        holder: &str,
    ) -> io::Result<Option<Self>> {
        let directory = private_dir(directory, nix::unistd::geteuid().as_raw())?;
        let file = file(&directory, &format!("{}.lock", name.stem()))?;
        let Some(mut held) = try_flock(file, FlockArg::LockExclusiveNonblock)? else {
            return Ok(None);
        };
        // For messages only: a full disk must not keep a service down.
        let _ = held
            .set_len(0)
            .and_then(|()| held.rewind())
            .and_then(|()| writeln!(held, "{holder} (process {})", std::process::id()));
        Ok(Some(Self {
            _held: held,
            directory,
            name: name.stem(),
        }))
    }

    /// The holder of the lock, in words. For messages only: it may be out of date.
    #[must_use]
    pub fn holder(directory: &PlainPath, name: &LockName) -> Option<String> {
        let directory = private_dir(directory, nix::unistd::geteuid().as_raw()).ok()?;
        let file = file(&directory, &format!("{}.lock", name.stem())).ok()?;
        let mut words = String::new();
        (&file).take(200).read_to_string(&mut words).ok()?;
        match try_flock(file, FlockArg::LockSharedNonblock) {
            Ok(None) => Some(words.trim().to_owned()),
            _ => None,
        }
    }

    /// The action that works on a service or on an archive, in words, as [`ServiceLock::holder`].
    #[must_use]
    pub fn busy(directory: &PlainPath, service: &ServiceName) -> Option<String> {
        Self::holder(directory, &LockName::service(service))
            .or_else(|| Self::holder(directory, &LockName::mirror(service)))
            .or_else(|| Self::holder(directory, &LockName::archives(service)))
    }

    /// The process that holds the lock, as the kernel says, and its words about itself.
    #[must_use]
    pub fn process(directory: &PlainPath, name: &LockName) -> Option<(Pid, String)> {
        let directory = private_dir(directory, nix::unistd::geteuid().as_raw()).ok()?;
        let file = file(&directory, &format!("{}.lock", name.stem())).ok()?;
        let mut words = String::new();
        let _ = (&file).take(200).read_to_string(&mut words);
        let words = words.trim().to_owned();
        let number = words.rsplit_once("(process ").map(|(_, rest)| rest);
        let written: Option<i32> = number.and_then(|rest| rest.trim_end_matches(')').parse().ok());
        let pid = holder::holder(&file, written)?;
        // On a full disk the words of an earlier holder stay in the file.
        let words = if written == Some(pid.as_raw()) {
            words
        } else {
            format!("another action (process {pid})")
        };
        Some((pid, words))
    }

    /// True if a `--start` of this service waits.
    #[must_use]
    pub fn wanted(&self) -> bool {
        start_waits(&self.directory, &self.name)
    }

    /// The same for a lock of another process: a waiting action lets the start pass.
    #[must_use]
    pub fn is_wanted(directory: &PlainPath, name: &LockName) -> bool {
        private_dir(directory, nix::unistd::geteuid().as_raw()).is_ok_and(|directory| {
            let stem = name.stem();
            start_waits(&directory, &stem) || is_held(&directory, &format!("{stem}.next"))
        })
    }
}

fn start_waits(directory: &OwnedFd, stem: &str) -> bool {
    is_held(directory, &format!("{stem}.start"))
}

fn is_held(directory: &OwnedFd, name: &str) -> bool {
    file(directory, name)
        .and_then(|file| try_flock(file, FlockArg::LockSharedNonblock))
        .is_ok_and(|lock| lock.is_none())
}

impl StartIntent {
    /// Announces the wish. Two waiting starts share it: the first one holds it.
    ///
    /// # Errors
    /// When the lock directory is not ours alone or the file cannot be made.
    pub fn announce(directory: &PlainPath, name: &LockName) -> io::Result<Self> {
        Self::hold(directory, &format!("{}.start", name.stem()))
    }

    /// A place before all others that wait, without a word to the holder of the lock.
    ///
    /// # Errors
    /// As [`StartIntent::announce`].
    pub fn come_next(directory: &PlainPath, name: &LockName) -> io::Result<Self> {
        Self::hold(directory, &format!("{}.next", name.stem()))
    }

    fn hold(directory: &PlainPath, name: &str) -> io::Result<Self> {
        let directory = private_dir(directory, nix::unistd::geteuid().as_raw())?;
        let file = file(&directory, name)?;
        Ok(Self {
            _held: try_flock(file, FlockArg::LockExclusiveNonblock)?,
        })
    }

    /// True if others see this wish; it may have collided with a look at it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self._held.is_some()
    }
}
