//! A service's folder in the spool, where an archive and its manifest lie until they are uploaded.
//!
//! Invariant: what a [`Spool`] made is gone when that ends, and what a killed gate left is gone after the next archive
//! of any service; files of other names stay.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::Context;
use crate::archive::extract::free;
use crate::error::Failure;
use crate::host::dirfd::{PinnedDir, entries};
use crate::host::lock::ServiceLock;
use crate::host::lock_name::LockName;
use crate::measure;
use crate::names::{PlainPath, ServiceName};
use crate::retention::{ArchiveName, PARTIAL};
use crate::{scratch, shelf};

/// The folder of a service in the spool.
#[must_use]
pub(crate) fn spool_folder(spool_dir: &PlainPath, service: &ServiceName) -> PlainPath {
    spool_dir.below(&[service.as_str()])
}

/// The folder for what comes back from the remote. No service's name begins with a dot.
#[must_use]
pub(super) fn fetched_folder(spool_dir: &PlainPath) -> PlainPath {
    spool_dir.below(&[".fetched"])
}

/// The folder, in use.
pub(super) struct Spool {
    directory: OwnedFd,
    service: ServiceName,
    /// Its name.
    pub(super) path: PlainPath,
    /// The archive's name in it.
    pub(super) archive: String,
    /// The manifest's name in it.
    pub(super) manifest: String,
    /// Bytes that stay free beside it.
    pub(super) reserve: u64,
}

impl Spool {
    /// Makes it where it is missing, and clears it and all others of what killed gates left. The lock of the
    /// service's archives must be held.
    pub(super) fn open(
        context: &Context<'_>,
        service: &ServiceName,
        name: &ArchiveName,
    ) -> Result<Self, Failure> {
        let path = spool_folder(&context.config.spool_dir, service);
        let spool = Self {
            directory: context.own_directory(&path)?,
            service: service.clone(),
            path,
            archive: format!("{name}{PARTIAL}"),
            manifest: format!("{}{PARTIAL}", name.manifest()),
            reserve: context.config.limits.spool_reserve,
        };
        clear(&spool.directory, &spool.service);
        clear_all(context, Some(service));
        Ok(spool)
    }

    /// A new file in it.
    pub(super) fn create(&self, name: &str) -> Result<File, Failure> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map(File::from)
            .map_err(Failure::errno(format!("creating {}/{name}", self.path)))
    }

    /// A file in it, from its beginning.
    pub(super) fn reopen(&self, name: &str) -> Result<File, Failure> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.directory, name, flags, Mode::empty())
            .map(File::from)
            .map_err(Failure::errno(format!("opening {}/{name}", self.path)))
    }

    /// Whether so many more bytes fit, and the reserve beside them.
    pub(super) fn has_room(&self, bytes: u64) -> Result<(), Failure> {
        has_room(&self.directory, &self.path, bytes, self.reserve)
    }
}

/// Whether an archive of so many bytes would fit, which nobody has begun to pack. What killed gates left does not
/// count: the archive would clear it away, so it is cleared away here.
pub(super) fn would_fit(
    context: &Context<'_>,
    service: &ServiceName,
    bytes: u64,
) -> Result<(), Failure> {
    let path = spool_folder(&context.config.spool_dir, service);
    let directory = context.own_directory(&path)?;
    clear_all(context, None);
    let reserve = context.config.limits.spool_reserve;
    has_room(&directory, &path, bytes, reserve)
}

/// Checks that `bytes` more fit into a folder, beside the reserve.
pub(crate) fn has_room(
    directory: &OwnedFd,
    path: &PlainPath,
    bytes: u64,
    reserve: u64,
) -> Result<(), Failure> {
    let free = free(directory)?;
    if free >= bytes.saturating_add(reserve) {
        return Ok(());
    }
    let need = match bytes {
        0 => String::new(),
        bytes => format!("this archive may need {bytes}, and "),
    };
    Err(Failure::NoSpace(format!(
        "{path} has {free} bytes free ({}); {need}{reserve} are to stay free (limits.spool_reserve); make room there or set spool_dir to a larger disk",
        measure::size(free),
    )))
}

impl Drop for Spool {
    fn drop(&mut self) {
        clear(&self.directory, &self.service);
    }
}

/// Removes what an archive of this service leaves. Its lock is held, so nobody is at work on it.
fn clear(directory: &OwnedFd, service: &ServiceName) {
    for name in entries(directory).unwrap_or_default() {
        if name
            .to_str()
            .is_some_and(|name| shelf::is_partial(service, name))
        {
            let flag = UnlinkatFlags::NoRemoveDir;
            let _ = unlinkat(directory, name.as_os_str(), flag);
        }
    }
}

/// Clears the folders of services of which no archive is being made: a gate that was killed cannot do it itself, and
/// what it left could fill the disk. `held` is the one whose lock the caller has, and that sees to its own.
fn clear_all(context: &Context<'_>, held: Option<&ServiceName>) {
    let config = context.config;
    scratch::clear(&fetched_folder(&config.spool_dir));
    let Ok(all) = PinnedDir::open(&config.spool_dir) else {
        return;
    };
    for name in entries(all.fd()).unwrap_or_default() {
        let Some(service) = name.to_str().and_then(|name| ServiceName::parse(name).ok()) else {
            continue;
        };
        if held == Some(&service) {
            continue;
        }
        let lock = LockName::archives(&service);
        let taken = ServiceLock::try_take(&config.lock_dir, &lock, "clearing the spool");
        if let Ok(Some(_lock)) = taken
            && let Ok(folder) = context.own_directory(&config.spool_dir.below(&[service.as_str()]))
        {
            clear(&folder, &service);
        }
    }
}
