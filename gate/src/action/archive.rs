//! `--archive`: pack into the spool, check, and hand over to `upload`.
//!
//! Invariant: nothing is uploaded that was not read back, and what lies in the spool is gone when this ends.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::Context;
use super::start::start_early;
use super::upload::{Upload, prune};
use crate::error::Failure;
use crate::host::Patience;
use crate::host::dirfd::{PinnedDir, entries};
use crate::host::lock::archive_lock;
use crate::names::PlainPath;
use crate::policy::Archive;
use crate::progress::{Meter, Phase};
use crate::reply::Stream;
use crate::retention::{ArchiveName, PARTIAL};
use crate::spool;

/// Room that must stay free beside the archive: whatever else lives on that disk goes on writing.
const RESERVE: u64 = 1 << 20;

pub(super) fn archive(
    context: &mut Context<'_>,
    order: &Archive,
    until: Instant,
) -> Result<String, Failure> {
    let waiting = Patience::attended(until);
    let _archives = context.lock(&archive_lock(&order.service), "--archive", &waiting)?;
    let lock = context.lock(order.service.as_str(), "--archive", &waiting)?;
    let patience = Patience::attended(until).yielding(&lock);
    context.rclone_is_trusted()?;
    let name = ArchiveName::new(order.service.clone(), context.host.today());
    let source = context.open_source(&order.source)?;
    let spool = Spool::open(context, order, &name)?;
    let size = pack(context, order, &source, &spool, &patience)?;
    // What is left to do needs the spool alone: a `--start` has nothing to wait for or to cancel any more.
    drop(source);
    start_early(context, &order.service);
    drop(lock);
    let patience = Patience::attended(until);
    let upload = Upload::new(order, &name);
    if let Err(failure) = upload.store(context, &spool.path, &spool.file, &patience) {
        upload.withdraw(context);
        return Err(failure);
    }
    let pruned = prune(context, order, &name, &patience)?;
    Ok(format!(
        "{name} is stored in {} ({size} bytes, {pruned} old archives removed)",
        order.folder
    ))
}

/// The service's folder in the spool; what is in it is removed at the end, however that comes about.
struct Spool {
    directory: OwnedFd,
    path: PlainPath,
    file: String,
}

impl Spool {
    fn open(context: &Context<'_>, order: &Archive, name: &ArchiveName) -> Result<Self, Failure> {
        let path = spool_folder(&context.config.spool_dir, order);
        let spool = Self {
            directory: context.own_directory(&path)?,
            path,
            file: format!("{name}{PARTIAL}"),
        };
        spool.clear();
        Ok(spool)
    }

    /// The lock is held, so whatever lies here was left by a gate that was killed.
    fn clear(&self) {
        for name in entries(&self.directory).unwrap_or_default() {
            let _ = unlinkat(
                &self.directory,
                name.as_os_str(),
                UnlinkatFlags::NoRemoveDir,
            );
        }
    }

    fn create(&self) -> Result<File, Failure> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(
            &self.directory,
            self.file.as_str(),
            flags,
            Mode::S_IRUSR | Mode::S_IWUSR,
        )
        .map(File::from)
        .map_err(Failure::errno(format!(
            "creating {}/{}",
            self.path, self.file
        )))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The folder of a service in the spool.
#[must_use]
pub(crate) fn spool_folder(spool_dir: &PlainPath, order: &Archive) -> PlainPath {
    spool_dir.below(&[order.service.as_str()])
}

/// Packs and checks; returns the size of the archive.
fn pack(
    context: &mut Context<'_>,
    order: &Archive,
    source: &PinnedDir,
    spool: &Spool,
    patience: &Patience<'_>,
) -> Result<u64, Failure> {
    let total = {
        let mut watch = watcher(context, patience, Phase::Measuring, None);
        spool::measure(source, &mut watch)?
    };
    let room = fstatvfs(&spool.directory).map_err(Failure::errno("the free space of the spool"))?;
    #[allow(
        clippy::unnecessary_cast,
        clippy::allow_attributes,
        reason = "both are narrower on 32-bit systems"
    )]
    let free = room.blocks_available() as u64 * room.fragment_size() as u64;
    if free < total.saturating_add(RESERVE) {
        return Err(Failure::NoSpace(format!(
            "{} has {free} bytes free and {} may need {total}; make room there or set spool_dir to a larger disk",
            spool.path, order.source
        )));
    }
    context.say(format!("packing {} ({total} bytes)", order.source));
    let (packed, file) = {
        let mut watch = watcher(context, patience, Phase::Packing, Some(total));
        spool::pack(source, spool.create()?, &mut watch)?
    };
    if !packed.skipped.is_empty() {
        context.warn(format!(
            "left out, because they are sockets or devices: {}",
            packed.skipped
        ));
    }
    if !packed.changed.is_empty() {
        let list = packed.changed.to_string();
        if !order.hot {
            return Err(Failure::Changed(list));
        }
        context.warn(format!(
            "changed while they were read, as is usual for {}: {list}",
            order.service
        ));
    }
    let size = file
        .metadata()
        .map_err(Failure::io("the size of the spool"))?
        .len();
    context.say(format!(
        "checking {} entries, {} bytes, packed {size}",
        packed.entries, packed.bytes
    ));
    let mut watch = watcher(context, patience, Phase::Checking, Some(packed.bytes));
    spool::verify(file, &packed, &mut watch)?;
    Ok(size)
}

/// Looks for a reason to stop, and tells once a second how far the work is.
fn watcher<'w>(
    context: &'w mut Context<'_>,
    patience: &'w Patience<'_>,
    phase: Phase,
    total: Option<u64>,
) -> impl FnMut(u64) -> Result<(), Failure> + 'w {
    let mut looked = context.host.now();
    let mut meter = Meter::new(phase, total, None, looked);
    move |bytes| {
        let now = context.host.now();
        if now.duration_since(looked) >= Duration::from_millis(100) {
            looked = now;
            context
                .host
                .check(patience)
                .map_err(|cause| Failure::Interrupted {
                    what: phase.as_str().to_owned(),
                    cause,
                })?;
        }
        if let Some(progress) = meter.tick(now, bytes, 0) {
            context.host.say(Stream::Out, &progress.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use crate::error::{ExitStatus, Failure};

    #[test]
    fn a_full_disk_has_its_own_status() {
        let failure = Failure::errno("writing")(Errno::ENOSPC);
        assert_eq!(failure.status(), ExitStatus::CannotCreate);
    }
}
