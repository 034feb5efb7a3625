//! Paths of an archive → places below one directory.
//!
//! Invariant: nothing outside of the target is reached, for any names and links in an archive: every component is
//! opened by descriptor, as a real directory, from the one above. No existing entry is opened for writing or replaced.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::{MAX_DEPTH, ROOT, damaged, other_layout};
use base::error::Failure;

/// The components of a path below the root of an archive; none for the root itself.
///
/// # Errors
/// When it lies elsewhere, or is written in a way that leads elsewhere.
pub(super) fn components(path: &[u8]) -> Result<Vec<&OsStr>, Failure> {
    let shown = || OsStr::from_bytes(path).display().to_string();
    let mut parts = path.split(|&byte| byte == b'/');
    if parts.next() != Some(ROOT.as_bytes()) {
        return Err(other_layout(&format!(
            "{} does not lie in {ROOT}/",
            shown()
        )));
    }
    let parts: Vec<&OsStr> = parts.map(OsStr::from_bytes).collect();
    let plain = |part: &&OsStr| {
        let bytes = part.as_bytes();
        !matches!(bytes, b"" | b"." | b"..") && bytes.len() <= 255 && !bytes.contains(&0)
    };
    if !parts.iter().all(plain) {
        return Err(damaged(&format!("{} is no plain path", shown())));
    }
    if parts.len() > MAX_DEPTH + 1 {
        return Err(damaged(&format!("{} lies too deep", shown())));
    }
    Ok(parts)
}

/// A directory that is being filled.
pub(super) struct Open<T> {
    name: OsString,
    fd: OwnedFd,
    /// Work for the time when it is filled.
    then: Option<T>,
}

/// The way from the target to where the last entry was put. Archives come in the order of the tree, so that the
/// next one is mostly put there as well.
pub(super) struct Places<T> {
    target: OwnedFd,
    way: Vec<Open<T>>,
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl<T> Places<T> {
    pub(super) fn new(target: OwnedFd) -> Self {
        Self {
            target,
            way: Vec::new(),
        }
    }

    /// The directory for an entry with these components; directories that are left are handed to `left`, the
    /// deepest first.
    pub(super) fn parent(
        &mut self,
        components: &[&OsStr],
        mut left: impl FnMut(OwnedFd, T) -> Result<(), Failure>,
    ) -> Result<BorrowedFd<'_>, Failure> {
        let above = components.split_last().map_or(&[][..], |(_, above)| above);
        let common = self
            .way
            .iter()
            .zip(above)
            .take_while(|(open, name)| open.name.as_os_str() == **name)
            .count();
        while self.way.len() > common {
            if let Some(Open {
                fd,
                then: Some(then),
                ..
            }) = self.way.pop()
            {
                left(fd, then)?;
            }
        }
        for name in above.iter().skip(common) {
            let fd = openat(self.here(), *name, DIRECTORY, Mode::empty()).map_err(|errno| {
                let what = OsStr::display(name).to_string();
                match errno {
                    Errno::ELOOP | Errno::ENOTDIR => damaged(&format!(
                        "an entry lies below {what}, which is no directory"
                    )),
                    Errno::ENOENT => {
                        damaged(&format!("the directory {what} comes after what is in it"))
                    }
                    errno => Failure::errno(format!("opening {what}"))(errno),
                }
            })?;
            self.way.push(Open {
                name: (*name).to_owned(),
                fd,
                then: None,
            });
        }
        Ok(self.here())
    }

    /// Goes into a directory that was just made in the last parent.
    pub(super) fn descend(&mut self, name: &OsStr, then: T) -> nix::Result<()> {
        let fd = openat(self.here(), name, DIRECTORY, Mode::empty())?;
        self.way.push(Open {
            name: name.to_owned(),
            fd,
            then: Some(then),
        });
        Ok(())
    }

    /// Another parent, which stays open beside the way.
    pub(super) fn aside(&self, components: &[&OsStr]) -> nix::Result<OwnedFd> {
        let mut fd = openat(&self.target, ".", DIRECTORY, Mode::empty())?;
        let above = components.split_last().map_or(&[][..], |(_, above)| above);
        for name in above {
            fd = openat(&fd, *name, DIRECTORY, Mode::empty())?;
        }
        Ok(fd)
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.way
            .last()
            .map_or(self.target.as_fd(), |open| open.fd.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_root_are_taken() {
        for path in ["data", "data/a", "data/a/b", "data/..a", "data/a.."] {
            assert!(components(path.as_bytes()).is_ok(), "{path}");
        }
        for path in [
            "",
            "a",
            "/data",
            "/data/a",
            "./data/a",
            "../data",
            "data/",
            "data/../a",
            "data/./a",
            "data//a",
            "data/a/..",
            "database/a",
            "data/a\0b",
        ] {
            assert!(components(path.as_bytes()).is_err(), "{path}");
        }
        assert!(components(format!("data{}", "/x".repeat(MAX_DEPTH + 2)).as_bytes()).is_err());
        assert!(components(format!("data/{}", "x".repeat(256)).as_bytes()).is_err());
    }
}
