//! A service's folder in the spool. An archive and its manifest lie there until they are uploaded.
//!
//! Invariant: the files of a [`Spool`] are removed when it is dropped. Files left by a killed gate are removed by the
//! next archive of any service; files of other names stay.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::Context;
use crate::retention::{ArchiveName, PARTIAL};
use crate::shelf;
use archive::extract::free;
use base::dirfd::{PinnedDir, entries};
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::measure;
use base::names::{PlainPath, ServiceName};
use base::scratch;

/// The folder of a service in the spool.
#[must_use]
pub(crate) fn spool_folder(spool_dir: &PlainPath, service: &ServiceName) -> PlainPath {
    spool_dir.below(&[service.as_str()])
}

/// The folder for files from the remote. No service's name begins with a dot.
#[must_use]
pub(super) fn fetched_folder(spool_dir: &PlainPath) -> PlainPath {
    spool_dir.below(&[".fetched"])
}

/// The folder, in use.
pub(super) struct Spool {
    directory: OwnedFd,
    service: ServiceName,
    /// The path of the folder.
    pub(super) path: PlainPath,
    /// The archive's name in the folder.
    pub(super) archive: String,
    /// The manifest's name in the folder.
    pub(super) manifest: String,
    /// The bytes that stay free on its disk.
    pub(super) reserve: u64,
}

impl Spool {
    /// Opens the folder, and creates it if it is missing. Removes leftovers of killed gates from this and all other
    /// folders. The lock of the service's archives must be held.
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

    /// Creates a file in the folder.
    pub(super) fn create(&self, name: &str) -> Result<File, Failure> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map(File::from)
            .map_err(Failure::errno(format!("creating {}/{name}", self.path)))
    }

    /// Opens a file in the folder, at its beginning.
    pub(super) fn reopen(&self, name: &str) -> Result<File, Failure> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.directory, name, flags, Mode::empty())
            .map(File::from)
            .map_err(Failure::errno(format!("opening {}/{name}", self.path)))
    }

    /// Checks that `bytes` more fit, beside the reserve.
    pub(super) fn has_room(&self, bytes: u64) -> Result<(), Failure> {
        has_room(&self.directory, &self.path, bytes, self.reserve)
    }
}

/// Checks, before any packing, that an archive of `bytes` would fit. Removes leftovers of killed gates first, as the
/// archive would do.
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

/// Removes the leftovers of this service's archives. Its lock is held, so no other gate works on these files.
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

/// Clears the folders of services without an archive in progress: a killed gate cannot do so itself, and its leftovers
/// could fill the disk. Skips `held`, the service whose lock the caller holds; the caller clears that folder.
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
