//! The last steps of an entry that lies in its place: owner, mode, attributes and times.
//!
//! Invariant: an entry is reached by descriptor. Until it is complete, only its maker can open it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, futimens, utimensat};
use nix::sys::statvfs::fstatvfs;
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};

use super::attributes::CAPABILITY;
use super::entry::{Entry, Kind, Moment};
use super::{Named, attributes, damaged};
use base::error::Failure;

/// Bytes between two looks at the free space.
const LOOK: u64 = 16 << 20;

/// Options for making a tree.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// True to restore owners, which takes root. Without, all files belong to the calling user, and setuid and setgid
    /// are left out.
    pub owners: bool,
    /// Keep the set-user-ID and set-group-ID bits and the capabilities of files. A thief of the remote could have added
    /// them.
    pub powers: bool,
    /// Bytes that stay free on the target's disk.
    pub reserve: u64,
}

/// Completes entries below one directory, and remembers what it had to leave out.
pub(super) struct Maker {
    options: Options,
    target: OwnedFd,
    pub(super) attributes: Named,
    pub(super) skipped: Named,
    pub(super) powerless: Named,
    until_look: u64,
}

impl Maker {
    pub(super) fn new(target: &OwnedFd, options: Options) -> Result<Self, Failure> {
        Ok(Self {
            options,
            target: clone(target)?,
            attributes: Named::default(),
            skipped: Named::default(),
            powerless: Named::default(),
            until_look: 0,
        })
    }

    /// The root of the tree.
    pub(super) fn target(&self) -> Result<OwnedFd, Failure> {
        clone(&self.target)
    }

    pub(super) fn has_room(&mut self, bytes: u64) -> Result<(), Failure> {
        // An entry without content takes room as well.
        let cost = bytes.max(4096);
        if let Some(left) = self.until_look.checked_sub(cost) {
            self.until_look = left;
            return Ok(());
        }
        self.until_look = LOOK;
        let free = free(&self.target)?;
        if free < self.options.reserve.saturating_add(LOOK) {
            return Err(Failure::NoSpace(format!(
                "{free} bytes are left on the disk of the target, and {} are to stay free; make room there or choose another target",
                self.options.reserve
            )));
        }
        Ok(())
    }

    /// Gives a file, a directory or a named pipe the values of its header. The owner comes first, because setting it
    /// removes setuid and capabilities; the time comes last, because everything else changes it.
    pub(super) fn complete(&mut self, fd: &impl AsFd, entry: &Entry) -> Result<(), Failure> {
        // By its descriptor, which may be one of O_PATH; see `attributes`.
        let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        let path = path.as_str();
        let mut mode = entry.mode & 0o7777;
        if !self.options.powers {
            let without = harmless(&entry.kind, mode);
            if without != mode || has_capabilities(entry) {
                self.powerless.push(entry.display());
            }
            mode = without;
        }
        if self.options.owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            fchownat(AT_FDCWD, path, Some(uid), Some(gid), AtFlags::empty())
                .map_err(making(entry))?;
        } else {
            mode &= 0o1777;
        }
        let mode = Mode::from_bits_truncate(mode);
        fchmodat(AT_FDCWD, path, mode, FchmodatFlags::FollowSymlink).map_err(making(entry))?;
        self.attribute(fd, entry);
        let (untouched, modified) = times(entry.modified);
        if matches!(entry.kind, Kind::Fifo) {
            let flag = UtimensatFlags::FollowSymlink;
            utimensat(AT_FDCWD, path, &untouched, &modified, flag).map_err(making(entry))
        } else {
            futimens(fd.as_fd(), &untouched, &modified).map_err(making(entry))
        }
    }

    pub(super) fn complete_link(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry,
    ) -> Result<(), Failure> {
        if self.options.owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
            fchownat(parent, name, Some(uid), Some(gid), flags).map_err(making(entry))?;
        }
        if !entry.attributes.0.is_empty() {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let link = openat(parent, name, flags, Mode::empty()).map_err(making(entry))?;
            self.attribute(&link, entry);
        }
        let (untouched, modified) = times(entry.modified);
        let flags = UtimensatFlags::NoFollowSymlink;
        utimensat(parent, name, &untouched, &modified, flags).map_err(making(entry))
    }

    fn attribute(&mut self, fd: &impl AsFd, entry: &Entry) {
        let refused = if !self.options.powers && has_capabilities(entry) {
            let mut harmless = entry.attributes.clone();
            harmless.0.retain(|(name, _)| name != CAPABILITY);
            attributes::write(fd, &harmless)
        } else {
            attributes::write(fd, &entry.attributes)
        };
        if !refused.is_empty() {
            let names = refused.join(", ");
            self.attributes
                .push(format!("{} ({names})", entry.display()));
        }
    }
}

fn has_capabilities(entry: &Entry) -> bool {
    let attributes = &entry.attributes.0;
    attributes.iter().any(|(name, _)| name == CAPABILITY)
}

/// The mode of an entry without set-user-ID and set-group-ID. A directory keeps them: they give no power, and
/// set-group-ID decides the group of new files.
fn harmless(kind: &Kind, mode: u32) -> u32 {
    match kind {
        Kind::Directory => mode,
        _ => mode & !0o6000,
    }
}

/// Bytes that may still be written to the disk of a file or directory.
///
/// # Errors
/// As fstatvfs(3).
pub fn free(fd: &impl AsFd) -> Result<u64, Failure> {
    let room = fstatvfs(fd).map_err(Failure::errno("the free space of a disk"))?;
    #[allow(
        clippy::unnecessary_cast,
        clippy::allow_attributes,
        reason = "both are narrower on 32-bit systems"
    )]
    Ok(room.blocks_available() as u64 * room.fragment_size() as u64)
}

pub(super) fn create(parent: BorrowedFd<'_>, name: &OsStr) -> nix::Result<File> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// The time of the last access is not restored.
fn times(modified: Moment) -> (TimeSpec, TimeSpec) {
    let modified = TimeSpec::new(modified.seconds, modified.nanoseconds.into());
    (TimeSpec::UTIME_OMIT, modified)
}

pub(super) fn making(entry: &Entry) -> impl FnOnce(Errno) -> Failure + use<'_> {
    move |errno| match errno {
        Errno::EEXIST => damaged(&format!("{} is there already", entry.display())),
        errno => Failure::errno(format!("making {}", entry.display()))(errno),
    }
}

fn clone(target: &OwnedFd) -> Result<OwnedFd, Failure> {
    target
        .try_clone()
        .map_err(Failure::io("the target directory"))
}
