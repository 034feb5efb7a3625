//! Owner, mode, attributes and times of an entry → its copy.
//!
//! Invariant: a copy is reached by its descriptor, which may be one of O_PATH; no link is followed.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmodat, fstat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};

use crate::attributes;
use crate::estimate::kind;

/// Gives a copy all values of its original; returns the names of attributes that it does not take. The owner comes
/// first, because setting it removes set-user-ID and capabilities; the time comes last.
pub(super) fn give(
    original: &impl AsFd,
    copy: &impl AsFd,
    stat: &FileStat,
) -> nix::Result<Vec<String>> {
    own(copy, stat)?;
    let code = |errno: rustix::io::Errno| Errno::from_raw(errno.raw_os_error());
    let found = attributes::read(original).map_err(code)?;
    let stale = attributes::read(copy).map_err(code)?;
    for (name, _) in &stale.attributes.0 {
        if !found.attributes.0.iter().any(|(kept, _)| kept == name) {
            attributes::remove(copy, name);
        }
    }
    let mut refused = Vec::new();
    if found.attributes != stale.attributes {
        refused = attributes::write(copy, &found.attributes);
    }
    let times = [
        TimeSpec::UTIME_OMIT,
        TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
    ];
    set_times(copy, &times)?;
    Ok(refused)
}

/// Gives a copy the owner, which takes root, and the mode of its original.
pub(super) fn own(copy: &impl AsFd, stat: &FileStat) -> nix::Result<()> {
    if nix::unistd::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        // An empty name is the descriptor itself.
        fchownat(copy, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
    }
    if kind(&fstat(copy)?) == SFlag::S_IFLNK {
        return Ok(());
    }
    let mode = Mode::from_bits_truncate(stat.st_mode & 0o7777);
    let flag = FchmodatFlags::FollowSymlink;
    fchmodat(AT_FDCWD, place(copy).as_str(), mode, flag)
}

/// Sets the times of access and modification.
pub(super) fn set_times(copy: &impl AsFd, [access, modified]: &[TimeSpec; 2]) -> nix::Result<()> {
    if kind(&fstat(copy)?) != SFlag::S_IFLNK {
        let flag = UtimensatFlags::FollowSymlink;
        return utimensat(AT_FDCWD, place(copy).as_str(), access, modified, flag);
    }
    let times = rustix::fs::Timestamps {
        last_access: spec(access),
        last_modification: spec(modified),
    };
    let flags = rustix::fs::AtFlags::EMPTY_PATH | rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(copy, "", &times, flags)
        .map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

fn place(fd: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

fn spec(time: &TimeSpec) -> rustix::fs::Timespec {
    rustix::fs::Timespec {
        tv_sec: time.tv_sec(),
        tv_nsec: time.tv_nsec(),
    }
}
