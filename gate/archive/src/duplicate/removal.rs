//! Entries of an older copy that the original does not have, or has in another form.
//!
//! Invariant: nothing outside of the copy is removed, and no link is followed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use base::dirfd::{enter, find};
use base::scratch::empty;

/// The entries of a copied folder that its original no longer has.
pub(super) fn others(from: &OwnedFd, to: &OwnedFd) -> nix::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut stream = Dir::openat(to.as_fd(), ".", flags, Mode::empty())?;
    let mut others = Vec::new();
    for entry in stream.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT) {
            others.push(name.to_owned());
        }
    }
    Ok(others)
}

/// Removes an entry of a copy, with everything below it.
pub(super) fn remove(to: &OwnedFd, name: &OsStr) -> nix::Result<()> {
    match unlinkat(to, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR | Errno::EPERM) => {
            empty(&enter(find(to, name)?.fd)?)?;
            unlinkat(to, name, UnlinkatFlags::RemoveDir)
        }
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}
