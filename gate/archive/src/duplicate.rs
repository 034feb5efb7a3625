//! A tree → the same tree elsewhere on this host: its files share their blocks with the originals, or are copied.
//!
//! A tree is copied while its service is up, and brought up to date while the service is down. The access time of each
//! copied file holds a fingerprint of its original, so that the second pass copies changed files alone. No reader of a
//! copy needs its access time.
//!
//! Invariant: entries are reached by descriptor below the two pinned directories and no link is followed; after a pass
//! over a tree at rest both trees are equal in everything that an archive holds.

mod content;
mod fingerprint;
mod removal;
mod values;

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{LinkatFlags, linkat, mkfifoat, symlinkat};
use serde::{Deserialize, Serialize};

use super::estimate::kind;
use super::extract::free;
use super::links::{Links, Seen, state};
use super::listing::{Budget, Listing};
use super::{MAX_DEPTH, Named, ROOT, Watch, too_deep};
use base::dirfd::{Found, enter, find, reopen};
use base::error::Failure;
use base::scratch::empty;

pub use content::{Way, needs_copies};

use content::content;
use fingerprint::{fingerprint, is_settled};

/// Orders for a pass over a tree.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The kind of copies.
    pub way: Way,
    /// The tree may change meanwhile, and a second pass follows.
    pub live: bool,
    /// Bytes that stay free on the disk of the copies.
    pub reserve: u64,
}

/// The result of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicated {
    /// Entries of the tree.
    pub entries: u64,
    /// Files that were copied in this pass.
    pub copied: u64,
    /// Sockets and devices, which no copy has.
    pub skipped: Named,
    /// Entries that changed while they were copied.
    pub changed: Named,
}

/// Makes the tree below `target`, or brings the tree of an earlier pass up to date.
///
/// # Errors
/// When something cannot be read or made, the disk fills up to the reserve, or `watch` says so.
pub fn duplicate(
    source: &OwnedFd,
    target: &OwnedFd,
    pass: Pass,
    watch: Watch<'_>,
) -> Result<Duplicated, Failure> {
    let from = enter(source).map_err(Failure::errno("opening the source"))?;
    let to = enter(target).map_err(Failure::errno("opening the copy"))?;
    let stat = fstat(&from).map_err(Failure::errno("reading the source"))?;
    let mut walk = Walk {
        pass,
        target: to
            .try_clone()
            .map_err(Failure::io("the folder of the copy"))?,
        done: Duplicated::default(),
        bytes: 0,
        links: Links::default(),
        budget: Budget::default(),
        path: ROOT.as_bytes().to_vec(),
        buffer: Vec::new(),
        watch,
    };
    walk.directory(&from, &to, &stat, 0)?;
    Ok(walk.done)
}

struct Walk<'a> {
    pass: Pass,
    target: OwnedFd,
    done: Duplicated,
    bytes: u64,
    links: Links,
    budget: Budget,
    path: Vec<u8>,
    buffer: Vec<u8>,
    watch: Watch<'a>,
}

impl Walk<'_> {
    fn directory(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        stat: &FileStat,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(too_deep(Path::new(OsStr::from_bytes(&self.path))));
        }
        self.done.entries += 1;
        let mut listing = Listing::open(from, &self.budget).map_err(|errno| self.failed(errno))?;
        while listing.fill(self.watch, self.bytes)? {
            for at in 0..listing.len() {
                let name = listing.name(at);
                let length = self.path.len();
                self.path.push(b'/');
                self.path.extend(name.as_bytes());
                self.entry(from, to, name, depth)?;
                self.path.truncate(length);
            }
        }
        for name in removal::others(from, to).map_err(|errno| self.failed(errno))? {
            self.remove(to, &name)?;
        }
        self.complete(from, to, stat)?;
        let after = fstat(from).map_err(|errno| self.failed(errno))?;
        if state(&after) != state(stat) {
            self.changed();
        }
        Ok(())
    }

    fn entry(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &OsStr,
        depth: usize,
    ) -> Result<(), Failure> {
        (self.watch)(self.bytes)?;
        let found = match find(from, name) {
            Ok(found) => found,
            Err(Errno::ENOENT) => {
                self.changed();
                return Ok(());
            }
            Err(errno) => return Err(self.failed(errno)),
        };
        match kind(&found.stat) {
            SFlag::S_IFDIR => {
                let inner = self.make_directory(to, name)?;
                if found.mounted {
                    // The place of a mount stays an empty directory. A file system of a network is not asked.
                    empty(&inner).map_err(|errno| self.failed(errno))?;
                    self.done.entries += 1;
                    if found.foreign {
                        return values::own(&inner, &found.stat)
                            .map_err(|errno| self.failed(errno));
                    }
                    return self.complete(&found.fd, &inner, &found.stat);
                }
                let outer = enter(&found.fd).map_err(|errno| self.failed(errno))?;
                self.directory(&outer, &inner, &found.stat, depth + 1)
            }
            // A file that something else is mounted on.
            _ if found.mounted => self.remove(to, name),
            SFlag::S_IFREG => self.file(from, to, name, &found),
            SFlag::S_IFLNK => {
                self.remove(to, name)?;
                let target = readlinkat(&found.fd, "").map_err(|errno| self.failed(errno))?;
                symlinkat(target.as_os_str(), to, name).map_err(|errno| self.failed(errno))?;
                self.finish(to, name, &found)
            }
            SFlag::S_IFIFO => {
                self.remove(to, name)?;
                mkfifoat(to, name, Mode::S_IRUSR).map_err(|errno| self.failed(errno))?;
                self.finish(to, name, &found)
            }
            _ => {
                self.done.skipped.push(self.shown());
                self.remove(to, name)
            }
        }
    }

    fn file(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &OsStr,
        found: &Found,
    ) -> Result<(), Failure> {
        self.done.entries += 1;
        let there = fstatat(to, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok();
        let mut fresh = found.stat.st_nlink > 1;
        if fresh {
            match self.links.look(&found.stat) {
                Seen::New => {}
                Seen::Changed => fresh = false,
                Seen::Under(first) => {
                    self.remove(to, name)?;
                    let (above, last) = self.reach(&first)?;
                    return linkat(&above, last, to, name, LinkatFlags::empty())
                        .map_err(|errno| self.failed(errno));
                }
            }
        }
        let same = there.is_some_and(|there| {
            kind(&there) == SFlag::S_IFREG
                && there.st_size == found.stat.st_size
                && (there.st_atime, there.st_atime_nsec) == fingerprint(&found.stat)
        });
        if !same {
            self.remove(to, name)?;
            self.copy(from, to, name, found)?;
        }
        if fresh && !self.links.remember(&found.stat, &self.path) {
            // The next names become copies.
            return Ok(());
        }
        Ok(())
    }

    fn copy(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &OsStr,
        found: &Found,
    ) -> Result<(), Failure> {
        let original = reopen(&found.fd).map_err(|errno| self.failed(errno))?;
        if self.pass.live {
            // A page that is dirty already takes further writes without a new change time.
            rustix::fs::fdatasync(&original)
                .map_err(|errno| self.failed(Errno::from_raw(errno.raw_os_error())))?;
        }
        let before = fstat(&original).map_err(|errno| self.failed(errno))?;
        self.has_room(if self.pass.way == Way::Copies {
            u64::try_from(before.st_blocks).unwrap_or(0) * 512
        } else {
            0
        })?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let copy = openat(to, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map(File::from)
            .map_err(|errno| self.failed(errno))?;
        let (bytes, watch) = (&mut self.bytes, &mut self.watch);
        content(
            &original,
            &copy,
            self.pass.way,
            &mut self.buffer,
            &mut |read| {
                *bytes += read;
                watch(*bytes)
            },
        )
        .map_err(|failure| self.about(failure))?;
        self.done.copied += 1;
        self.complete(&original, &copy, &before)?;
        let (seconds, nanoseconds) = match is_settled(&before) || !self.pass.live {
            true => fingerprint(&before),
            false => (0, 0),
        };
        let times = [
            TimeSpec::new(seconds, nanoseconds),
            TimeSpec::new(before.st_mtime, before.st_mtime_nsec),
        ];
        values::set_times(&copy, &times).map_err(|errno| self.failed(errno))?;
        let after = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let same = after.is_ok_and(|after| {
            (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)
                && state(&after) == state(&before)
        });
        if !same {
            self.changed();
        }
        Ok(())
    }

    /// Opens a folder of the copy, and makes it where it is missing.
    fn make_directory(&mut self, to: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Failure> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open = || openat(to, name, flags, Mode::empty());
        match open() {
            Ok(there) => return Ok(there),
            Err(Errno::ENOENT) => {}
            Err(_) => self.remove(to, name)?,
        }
        self.has_room(0)?;
        mkdirat(to, name, Mode::S_IRWXU)
            .and_then(|()| open())
            .map_err(|errno| self.failed(errno))
    }

    /// Gives a link or a named pipe, which was just made, the values of its original.
    fn finish(&mut self, to: &OwnedFd, name: &OsStr, found: &Found) -> Result<(), Failure> {
        self.done.entries += 1;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = openat(to, name, flags, Mode::empty()).map_err(|errno| self.failed(errno))?;
        self.complete(&found.fd, &made, &found.stat)
    }

    /// Gives a copy the owner, mode, attributes and time of its original.
    fn complete(
        &self,
        original: &impl AsFd,
        copy: &impl AsFd,
        stat: &FileStat,
    ) -> Result<(), Failure> {
        let refused = values::give(original, copy, stat).map_err(|errno| self.failed(errno))?;
        if refused.is_empty() {
            return Ok(());
        }
        Err(Failure::Tool {
            what: format!("copying {}", self.shown()),
            detail: format!("its attributes cannot be set: {}", refused.join(", ")),
        })
    }

    /// Removes an entry of the copy, with everything below it.
    fn remove(&self, to: &OwnedFd, name: &OsStr) -> Result<(), Failure> {
        removal::remove(to, name).map_err(|errno| self.failed(errno))
    }

    /// The folder of a copied file, and its name there.
    fn reach<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p OsStr), Failure> {
        let mut parts = path.split(|&byte| byte == b'/').skip(1).peekable();
        let mut folder = enter(&self.target).map_err(|errno| self.failed(errno))?;
        while let Some(part) = parts.next() {
            let part = OsStr::from_bytes(part);
            if parts.peek().is_none() {
                return Ok((folder, part));
            }
            folder = find(&folder, part)
                .and_then(|found| enter(found.fd))
                .map_err(|errno| self.failed(errno))?;
        }
        Err(self.failed(Errno::ENOENT))
    }

    fn has_room(&self, bytes: u64) -> Result<(), Failure> {
        let free = free(&self.target)?;
        if free >= bytes.saturating_add(self.pass.reserve) {
            return Ok(());
        }
        Err(Failure::NoSpace(format!(
            "{free} bytes are free on the disk of the captured data, and {} are to stay free (limits.spool_reserve)",
            self.pass.reserve
        )))
    }

    fn changed(&mut self) {
        let shown = self.shown();
        self.done.changed.push(shown);
    }

    fn shown(&self) -> String {
        OsStr::from_bytes(&self.path).display().to_string()
    }

    fn failed(&self, errno: Errno) -> Failure {
        Failure::errno(format!("copying {}", self.shown()))(errno)
    }

    /// Adds the path to a failure, unless callers decide by the failure.
    fn about(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Io { source, .. } => Failure::io(format!("copying {}", self.shown()))(source),
            other => other,
        }
    }
}
