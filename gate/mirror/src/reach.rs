//! Opening the entries of a tree once more by the paths of a list.
//!
//! Invariant: every component is opened from the folder before it, and none is a link or a mount.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use archive::ROOT;
use base::dirfd::{Found, PinnedDir, enter, find};
use nix::errno::Errno;

/// Keeps the folders of the last path open: lists are in order, so the next path needs most of them.
#[derive(Debug)]
pub struct Reach {
    root: OwnedFd,
    open: Vec<(Vec<u8>, OwnedFd)>,
}

impl Reach {
    /// Begins at the directory that `data` stands for.
    ///
    /// # Errors
    /// As openat(2).
    pub fn new(source: &PinnedDir) -> nix::Result<Self> {
        Ok(Self {
            root: enter(source.fd())?,
            open: Vec::new(),
        })
    }

    /// Opens an entry, of any type. `ENOENT` if a part of the path is another thing now.
    ///
    /// # Errors
    /// As openat(2).
    pub fn find(&mut self, path: &[u8]) -> nix::Result<Found> {
        let mut parts = path.split(|&byte| byte == b'/');
        if parts.next() != Some(ROOT.as_bytes()) {
            return Err(Errno::EINVAL);
        }
        let parts: Vec<&[u8]> = parts.collect();
        let Some((name, folders)) = parts.split_last() else {
            return find(&self.root, OsStr::new("."));
        };
        let same = self
            .open
            .iter()
            .zip(folders)
            .take_while(|((open, _), wanted)| open == *wanted)
            .count();
        self.open.truncate(same);
        for folder in folders.get(same..).unwrap_or_default() {
            let found = find(self.last(), OsStr::from_bytes(folder))?;
            if found.mounted {
                return Err(Errno::ENOENT);
            }
            let inner = enter(&found.fd).map_err(|errno| match errno {
                Errno::ENOTDIR | Errno::ELOOP => Errno::ENOENT,
                errno => errno,
            })?;
            self.open.push((folder.to_vec(), inner));
        }
        let found = find(self.last(), OsStr::from_bytes(name))?;
        if found.mounted {
            return Err(Errno::ENOENT);
        }
        Ok(found)
    }

    fn last(&self) -> &OwnedFd {
        self.open.last().map_or(&self.root, |(_, fd)| fd)
    }
}
