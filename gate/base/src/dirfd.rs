//! Opening directories and files component by component, never through a symbolic link.
//!
//! Invariant: the results of these functions were reached from `/` over real directories only, and callers continue
//! with the descriptor. A name is looked up once; nothing is checked by name and then used by name (the mistake of
//! rrsync's CVE-2026-53783).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};

use super::flags::DIRECTORY;
use super::trusted::Trusted;
use crate::names::PlainPath;

/// Device and inode: the identity of a directory, apart from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

impl From<&FileStat> for Identity {
    fn from(stat: &FileStat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// A directory that is held open, and the name it was found under (for messages only).
#[derive(Debug)]
pub struct PinnedDir {
    fd: OwnedFd,
    path: PlainPath,
    identity: Identity,
}

impl PinnedDir {
    /// Opens a directory without following links.
    ///
    /// # Errors
    /// When a component is missing, a link (ELOOP, ENOTDIR) or not a directory.
    pub fn open(path: &PlainPath) -> nix::Result<Self> {
        let mut fd = open("/", DIRECTORY, Mode::empty())?;
        for part in path.components() {
            fd = openat(&fd, part.as_str(), DIRECTORY, Mode::empty())?;
        }
        let identity = Identity::from(&fstat(&fd)?);
        Ok(Self {
            fd,
            path: path.clone(),
            identity,
        })
    }

    /// A directory that is open already, and its name.
    ///
    /// # Errors
    /// When the descriptor is none of a directory.
    pub fn of(fd: OwnedFd, path: PlainPath) -> nix::Result<Self> {
        let stat = fstat(&fd)?;
        if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
            return Err(Errno::ENOTDIR);
        }
        let identity = Identity::from(&stat);
        Ok(Self { fd, path, identity })
    }

    /// The descriptor.
    #[must_use]
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The name it was opened by.
    #[must_use]
    pub fn path(&self) -> &PlainPath {
        &self.path
    }

    /// Identity of the directory.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// True if it has no entry.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn is_empty(&self) -> nix::Result<bool> {
        // Not all of them are read: there may be a million.
        let mut stream = Dir::openat(&self.fd, ".", DIRECTORY, Mode::empty())?;
        for entry in stream.iter() {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The names in a directory, sorted, so that two archives of one tree have one order.
///
/// # Errors
/// When it cannot be listed.
pub fn entries(directory: impl AsFd) -> nix::Result<Vec<std::ffi::OsString>> {
    use std::os::unix::ffi::OsStringExt;
    // Reopened, because a directory stream moves the offset that duplicates of a descriptor share.
    let mut stream = Dir::openat(directory, ".", DIRECTORY, Mode::empty())?;
    let mut names = Vec::new();
    for entry in stream.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(std::ffi::OsString::from_vec(name));
        }
    }
    names.sort();
    Ok(names)
}

/// An entry that was opened by its type, without reading it: a link, a named pipe and a device stay untouched.
#[derive(Debug)]
pub struct Found {
    /// Opened with O_PATH.
    pub fd: OwnedFd,
    /// Its type, owner and size.
    pub stat: FileStat,
    /// True if it is a mount point.
    pub mounted: bool,
    /// The mount is a network or FUSE file system, which may not answer, or not to root. Then it was not asked for
    /// anything, and `stat` is that of the directory around it, with the right kind.
    pub foreign: bool,
}

/// File systems that need no network and no program: of disks, of memory, and overlays.
const LOCAL: [&[u8]; 16] = [
    b"ext2",
    b"ext3",
    b"ext4",
    b"xfs",
    b"btrfs",
    b"f2fs",
    b"zfs",
    b"bcachefs",
    b"vfat",
    b"exfat",
    b"ntfs3",
    b"squashfs",
    b"erofs",
    b"tmpfs",
    b"ramfs",
    b"overlay",
];

/// Tells network and FUSE file systems from local ones, by the kernel's table of mounts. The file system itself is not
/// asked.
fn is_foreign(fd: &OwnedFd) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
    let info = info.unwrap_or_default();
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let kind = id.and_then(|id| kind_of_mount(&mounts, id.trim().as_bytes()));
    !kind.is_some_and(|kind| LOCAL.contains(&kind))
}

/// The kind of file system of a mount, see proc_pid_mountinfo(5).
fn kind_of_mount<'m>(mounts: &'m [u8], id: &[u8]) -> Option<&'m [u8]> {
    mounts.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b' ');
        (fields.next()? == id).then_some(())?;
        fields.find(|field| *field == b"-")?;
        fields.next()
    })
}

/// Describes the mount at a place of a directory, without a question to a file system that may not answer.
fn mounted_there(directory: &impl AsFd, fd: OwnedFd, name: &OsStr) -> nix::Result<Found> {
    if !is_foreign(&fd) {
        let stat = fstat(&fd)?;
        return Ok(Found {
            fd,
            stat,
            mounted: true,
            foreign: false,
        });
    }
    // The kernel knows the kind of a mount point by itself.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY;
    let is_directory = openat(directory, name, flags, Mode::empty()).is_ok();
    let kind = if is_directory {
        SFlag::S_IFDIR
    } else {
        SFlag::S_IFREG
    };
    let mut stat = fstat(directory)?;
    stat.st_mode = kind.bits() | 0o755;
    Ok(Found {
        fd,
        stat,
        mounted: true,
        foreign: true,
    })
}

/// Opens an entry of a directory, of any type, and follows no link.
///
/// # Errors
/// As openat(2).
pub fn find(directory: impl AsFd, name: &OsStr) -> nix::Result<Found> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let plain = || openat(&directory, name, flags, Mode::empty());
    let inside = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_NO_XDEV);
    let (fd, mounted) = match openat2(&directory, name, inside) {
        Ok(fd) => (fd, false),
        Err(Errno::EXDEV) => return mounted_there(&directory, plain()?, name),
        // Linux before 5.6, or a container that forbids it: then a bind mount of one file system is not seen.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let fd = plain()?;
            let mounted = fstat(&fd)?.st_dev != fstat(&directory)?.st_dev;
            (fd, mounted)
        }
        Err(errno) => return Err(errno),
    };
    let stat = fstat(&fd)?;
    Ok(Found {
        fd,
        stat,
        mounted,
        foreign: false,
    })
}

/// Opens a found directory, to list it and to open its entries.
///
/// # Errors
/// As openat(2).
pub fn enter(directory: impl AsFd) -> nix::Result<OwnedFd> {
    openat(directory, ".", DIRECTORY, Mode::empty())
}

/// Opens a found regular file for reading: that very file, and not a later one of the same name.
///
/// # Errors
/// As open(2).
pub fn reopen(file: impl AsFd) -> nix::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    open(path.as_str(), flags, Mode::empty()).map(File::from)
}

/// Levels that are created of a directory of the gate's own: a folder that the configuration names and one inside. If
/// more are missing, a disk is not mounted, and the files for it would land on the disk below.
const MADE: usize = 2;

/// Opens a directory of the gate's own, and makes it (0700) where it is missing.
///
/// # Errors
/// A link is on the way, the directory belongs to another user or is open to others, or too many levels are missing.
pub fn private_dir(path: &PlainPath, owner: u32) -> io::Result<OwnedFd> {
    let mut left = path.components().len();
    let mut fd = open("/", DIRECTORY, Mode::empty())?;
    for part in path.components() {
        fd = match openat(&fd, part.as_str(), DIRECTORY, Mode::empty()) {
            Err(Errno::ENOENT) if left > MADE => {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!(
                        "{part} on the way there does not exist; mount its disk, or make it (mkdir -p)"
                    ),
                ));
            }
            Err(Errno::ENOENT) => {
                match mkdirat(&fd, part.as_str(), Mode::S_IRWXU) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
                openat(&fd, part.as_str(), DIRECTORY, Mode::empty())?
            }
            other => other?,
        };
        left -= 1;
        let stat = fstat(&fd)?;
        if !(Trusted { uid: owner }).directory(&stat) {
            return Err(io::Error::other(format!(
                "{part} on the way to {path} belongs to uid {} with mode {:04o}; whoever may write to it could replace what is below",
                stat.st_uid,
                stat.st_mode & 0o7777
            )));
        }
    }
    let stat = fstat(&fd)?;
    if stat.st_uid != owner || stat.st_mode & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "{path} belongs to uid {} with mode {:04o}; it must belong to uid {owner} and not be writable by group or others",
            stat.st_uid,
            stat.st_mode & 0o7777
        )));
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_mount_is_read_also_with_optional_fields() {
        let mounts = b"21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n36 21 0:40 / /m rw,nosuid - fuse.sshfs host: rw\n";
        assert_eq!(kind_of_mount(mounts, b"21"), Some(&b"ext4"[..]));
        assert_eq!(kind_of_mount(mounts, b"36"), Some(&b"fuse.sshfs"[..]));
        assert_eq!(kind_of_mount(mounts, b"3"), None);
    }
}
