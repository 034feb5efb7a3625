//! An archive → a tree below one directory, with owners, modes, times, attributes, links and holes.
//!
//! Invariant: everything is made by descriptor below the target and nothing there is replaced; a link is made and
//! never followed. Until a file or directory is complete, only its maker can open it. See `place`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, fstatat, futimens, mkdirat, utimensat,
};
use nix::sys::statvfs::fstatvfs;
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, LinkatFlags, Uid, fchownat, linkat, mkfifoat, symlinkat, syncfs};

use super::attributes::CAPABILITY;
use super::check::{Comparison, Report};
use super::entry::{Entry, Kind, Moment};
use super::input::Input;
use super::place::{Places, components};
use super::{Named, Watch, attributes, damaged};
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

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The archive as it was read, and where it differs from its manifest.
    pub report: Report,
    /// Devices and unknown things, which are not made.
    pub skipped: Named,
    /// Programs that lost their powers.
    pub powerless: Named,
    /// Entries, each with the attributes that could not be set.
    pub attributes: Named,
}

/// Makes the tree of a `.tar.gz` below an empty directory, which becomes the root of the archive. The archive is
/// compared with its manifest, if there is one, while it is read.
///
/// # Errors
/// The archive is damaged, or would make something outside of the target or twice; something cannot be made; the disk
/// fills up to the reserve; or `watch` ends it. The part made until then stays.
pub fn extract<A: Read, M: Read>(
    archive: A,
    mut comparison: Option<Comparison<M>>,
    target: OwnedFd,
    options: Options,
    watch: Watch<'_>,
) -> Result<Extracted, Failure> {
    let mut input = Input::new(archive);
    let mut maker = Maker {
        options,
        target: target
            .try_clone()
            .map_err(Failure::io("the target directory"))?,
        attributes: Named::default(),
        skipped: Named::default(),
        powerless: Named::default(),
        until_look: 0,
    };
    let mut places: Places<Entry> = Places::new(target);
    let mut root = None;
    while let Some(entry) = input.next(watch)? {
        let parts = components(&entry.path)?;
        let Some((&name, _)) = parts.split_last() else {
            if entry.kind != Kind::Directory || root.is_some() {
                return Err(damaged("its root is no directory, or comes twice"));
            }
            input.saw(
                &entry,
                super::digest::Hasher::default().finish(),
                comparison.as_mut(),
            )?;
            root = Some(entry);
            continue;
        };
        maker.has_room(0)?;
        let parent = places.parent(&parts, |fd, entry| maker.complete(&fd, &entry))?;
        let content = match &entry.kind {
            Kind::File { size } | Kind::Sparse { size, .. } => {
                let file = create(parent, name).map_err(making(&entry))?;
                let content = input.content(watch, &mut |piece| {
                    maker.has_room(piece.bytes.len() as u64)?;
                    file.write_all_at(piece.bytes, piece.offset)
                        .map_err(writing(&entry, *size))
                })?;
                // No write covers a hole at its end.
                file.set_len(*size).map_err(writing(&entry, *size))?;
                maker.complete(&file, &entry)?;
                content
            }
            _ => input.content(watch, &mut |_| Ok(()))?,
        };
        match &entry.kind {
            Kind::Directory => {
                mkdirat(parent, name, Mode::S_IRWXU).map_err(making(&entry))?;
                places
                    .descend(name, entry.clone())
                    .map_err(making(&entry))?;
            }
            Kind::Symlink { target } => {
                symlinkat(OsStr::from_bytes(target), parent, name).map_err(making(&entry))?;
                maker.complete_link(parent, name, &entry)?;
            }
            Kind::HardLink { target } => {
                let from = components(target)?;
                let Some(&last) = from.last() else {
                    return Err(damaged("a link leads to the root"));
                };
                let above = places.aside(&from).map_err(making(&entry))?;
                let stat = fstatat(&above, last, AtFlags::AT_SYMLINK_NOFOLLOW);
                let stat = stat.map_err(making(&entry))?;
                if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
                    return Err(damaged(&format!(
                        "{} is another name of what is no file",
                        entry.display()
                    )));
                }
                let to = places.parent(&parts, |_, _| Ok(()))?;
                linkat(&above, last, to, name, LinkatFlags::empty()).map_err(making(&entry))?;
            }
            Kind::Fifo => {
                mkfifoat(parent, name, Mode::S_IRUSR | Mode::S_IWUSR).map_err(making(&entry))?;
                let fifo = openat(
                    parent,
                    name,
                    OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
                    Mode::empty(),
                )
                .map_err(making(&entry))?;
                maker.complete(&fifo, &entry)?;
            }
            Kind::Other { .. } => maker.skipped.push(entry.display()),
            Kind::File { .. } | Kind::Sparse { .. } => {}
        }
        input.saw(&entry, content, comparison.as_mut())?;
    }
    // One that lies in none leaves all of them.
    places.parent(&[], |fd, entry| maker.complete(&fd, &entry))?;
    let root = root.ok_or_else(|| damaged("it has no root"))?;
    let target = maker
        .target
        .try_clone()
        .map_err(Failure::io("the target directory"))?;
    maker.complete(&target, &root)?;
    syncfs(&target).map_err(Failure::errno("writing the tree to its disk"))?;
    Ok(Extracted {
        report: input.finish(comparison)?,
        skipped: maker.skipped,
        powerless: maker.powerless,
        attributes: maker.attributes,
    })
}

/// A file that cannot be written. A file system may hold no file as large as the one that another held (ext4: 16 TiB).
fn writing(entry: &Entry, size: u64) -> impl FnOnce(std::io::Error) -> Failure {
    let mut what = format!("writing {}", entry.display());
    move |error| {
        if error.kind() == std::io::ErrorKind::FileTooLarge {
            what.push_str(&format!(
                ", which has {size} bytes with its holes and needs another file system: restore with --to a folder on XFS or Btrfs"
            ));
        }
        Failure::io(what)(error)
    }
}

struct Maker {
    options: Options,
    target: OwnedFd,
    attributes: Named,
    skipped: Named,
    powerless: Named,
    until_look: u64,
}

impl Maker {
    fn has_room(&mut self, bytes: u64) -> Result<(), Failure> {
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
    fn complete(&mut self, fd: &impl AsFd, entry: &Entry) -> Result<(), Failure> {
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

    fn complete_link(
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

fn create(parent: BorrowedFd<'_>, name: &OsStr) -> nix::Result<File> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// The time of the last access is not restored.
fn times(modified: Moment) -> (TimeSpec, TimeSpec) {
    let modified = TimeSpec::new(modified.seconds, modified.nanoseconds.into());
    (TimeSpec::UTIME_OMIT, modified)
}

fn making(entry: &Entry) -> impl FnOnce(Errno) -> Failure + use<'_> {
    move |errno| match errno {
        Errno::EEXIST => damaged(&format!("{} is there already", entry.display())),
        errno => Failure::errno(format!("making {}", entry.display()))(errno),
    }
}
