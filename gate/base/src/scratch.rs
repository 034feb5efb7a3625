//! A private folder for the temporary files of one program.
//!
//! Folders are kept and used again. One is taken by locking it, so that it is free as soon as the gate that had it
//! is gone, however that came about; what is in it is removed when it is taken and when it is given back.
//!
//! Invariant: nobody else uses a folder that is taken, and it is empty at first.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::dirfd::{enter, entries, find, private_dir};
use crate::names::PlainPath;

/// More folders than programs can run at once: each belongs to a gate, and those wait for each other.
const MOST: usize = 256;

/// How deep a program may have nested folders in there for them to be removed.
const DEEPEST: usize = 256;

/// A folder, taken.
#[derive(Debug)]
pub struct Scratch {
    held: Flock<OwnedFd>,
    path: PlainPath,
}

impl Scratch {
    /// Takes the first free folder below `parent`, which is made where it is missing.
    ///
    /// # Errors
    /// When a folder cannot be made or emptied.
    pub fn take(parent: &PlainPath) -> io::Result<Self> {
        let owner = nix::unistd::geteuid().as_raw();
        private_dir(parent, owner)?;
        for number in 0..MOST {
            let path = parent.below(&[&number.to_string()]);
            let folder = private_dir(&path, owner)?;
            match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
                Ok(held) => {
                    empty(&held, 0)?;
                    return Ok(Self { held, path });
                }
                Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => {}
                Err((_, errno)) => return Err(errno.into()),
            }
        }
        Err(io::Error::other(format!(
            "all folders in {parent} are in use"
        )))
    }

    /// The folder, open.
    #[must_use]
    pub fn fd(&self) -> &OwnedFd {
        &self.held
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &PlainPath {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the folder is taken again.
        let _ = empty(&self.held, 0);
    }
}

/// Empties the folders below `parent` that nobody has taken: what a gate left in them that was killed may be large.
pub fn clear(parent: &PlainPath) {
    let owner = nix::unistd::geteuid().as_raw();
    if !parent.to_path_buf().exists() {
        return;
    }
    for number in 0..MOST {
        let path = parent.below(&[&number.to_string()]);
        if !path.to_path_buf().exists() {
            return;
        }
        if let Ok(folder) = private_dir(&path, owner)
            && let Ok(held) = Flock::lock(folder, FlockArg::LockExclusiveNonblock)
        {
            let _ = empty(&held, 0);
        }
    }
}

/// Removes everything that is in a folder.
pub fn empty(folder: &OwnedFd, depth: usize) -> nix::Result<()> {
    for name in entries(folder)? {
        let name = name.as_os_str();
        let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let is_folder = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
        let how = if is_folder {
            if depth < DEEPEST {
                empty(&enter(find(folder, name)?.fd)?, depth + 1)?;
            }
            UnlinkatFlags::RemoveDir
        } else {
            UnlinkatFlags::NoRemoveDir
        };
        unlinkat(folder, name, how)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_and_empty_and_used_again() {
        let base = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(base.path()).unwrap();
        let parent = PlainPath::parse(base.join("tmp").to_str().unwrap()).unwrap();
        let first = Scratch::take(&parent).unwrap();
        let second = Scratch::take(&parent).unwrap();
        assert_ne!(first.path(), second.path());
        let path = first.path().to_path_buf();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/c"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", path.join("link")).unwrap();
        drop(first);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        // One that was left behind by a gate that was killed.
        std::fs::write(path.join("left"), "x").unwrap();
        let third = Scratch::take(&parent).unwrap();
        assert_eq!(third.path().to_path_buf(), path);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        assert!(std::path::Path::new("/etc").exists());
    }
}
