//! A private folder for the temporary files of one program.
//!
//! Folders are kept and used again. A gate takes one by locking it, so it is free as soon as that gate is gone, in any
//! way. Its content is removed when it is taken and when it is given back.
//!
//! Invariant: a taken folder has one user, and is empty at first.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, renameat};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::dirfd::{enter, entries, find, private_dir};
use crate::names::PlainPath;

/// More folders than programs can run at once: each belongs to a gate, and those wait for each other.
const MOST: usize = 256;

/// How many levels are open at the same time while a folder is emptied.
const DEEPEST: usize = 64;

/// No program that does its work nests its temporary folders deeper.
const ORDERLY: usize = 16;

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
                    empty(&held)?;
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

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &PlainPath {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An entry that cannot be removed now is removed when the folder is taken again.
        let _ = empty(&self.held);
    }
}

/// Empties the folders below `parent` that no gate has taken: files of a killed gate may be large.
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
            let _ = empty(&held);
        }
    }
}

/// Removes everything that is in a folder, however deep it is nested.
///
/// # Errors
/// When something in it cannot be removed.
pub fn empty(folder: &OwnedFd) -> nix::Result<()> {
    let mut moved = 0;
    loop {
        let before = moved;
        empty_level(folder, folder, 0, &mut moved)?;
        if moved == before {
            return Ok(());
        }
    }
}

/// Empties one level. A folder that lies too deep is moved to the top, which is emptied again then.
fn empty_level(
    top: &OwnedFd,
    folder: &OwnedFd,
    depth: usize,
    moved: &mut usize,
) -> nix::Result<()> {
    for name in entries(folder)? {
        let name = name.as_os_str();
        if !is_folder(folder, name)? {
            unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)?;
            continue;
        }
        if depth < DEEPEST {
            empty_level(top, &enter(find(folder, name)?.fd)?, depth + 1, moved)?;
            unlinkat(folder, name, UnlinkatFlags::RemoveDir)?;
            continue;
        }
        loop {
            *moved += 1;
            match renameat(folder, name, top, format!(".deep-{moved}").as_str()) {
                Ok(()) => break,
                Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

fn is_folder(folder: &OwnedFd, name: &OsStr) -> nix::Result<bool> {
    let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
}

/// True if a folder holds more bytes or entries than these, or is nested deeper than `ORDERLY`. An entry that vanishes meanwhile
/// does not count.
#[must_use]
pub fn exceeds(folder: &OwnedFd, bytes: u64, files: usize) -> bool {
    let mut left = (bytes, files);
    exceeds_left(folder, 0, &mut left)
}

fn exceeds_left(folder: &OwnedFd, depth: usize, left: &mut (u64, usize)) -> bool {
    let names = entries(folder).unwrap_or_default();
    if names.len() > left.1 || depth > ORDERLY {
        return true;
    }
    left.1 -= names.len();
    for name in &names {
        let name = name.as_os_str();
        let Ok(stat) = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        // In blocks of 512 bytes: a hole takes no room.
        let taken = u64::try_from(stat.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512);
        match left.0.checked_sub(taken) {
            Some(rest) => left.0 = rest,
            None => return true,
        }
        if is_folder(folder, name).unwrap_or(false)
            && let Ok(found) = find(folder, name)
            && let Ok(inner) = enter(found.fd)
            && exceeds_left(&inner, depth + 1, left)
        {
            return true;
        }
    }
    false
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

    #[test]
    fn a_folder_is_emptied_and_measured_however_it_was_filled() {
        let base = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(base.path()).unwrap();
        let parent = PlainPath::parse(base.join("tmp").to_str().unwrap()).unwrap();
        let scratch = Scratch::take(&parent).unwrap();
        let path = scratch.path().to_path_buf();
        let nested: std::path::PathBuf = std::iter::repeat_n("d", 900).collect();
        std::fs::create_dir_all(path.join(&nested)).unwrap();
        std::fs::write(path.join(&nested).join("f"), "x").unwrap();
        std::fs::write(path.join(".deep-1"), "in the way").unwrap();
        assert!(exceeds(scratch.fd(), u64::MAX, usize::MAX));
        empty(scratch.fd()).unwrap();
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        std::fs::write(path.join("file"), vec![1; 8192]).unwrap();
        std::fs::create_dir(path.join("folder")).unwrap();
        std::fs::write(path.join("folder/file"), vec![1; 8192]).unwrap();
        assert!(!exceeds(scratch.fd(), 1 << 20, 3));
        assert!(exceeds(scratch.fd(), 1 << 20, 2));
        assert!(exceeds(scratch.fd(), 10_000, 3));
    }
}
