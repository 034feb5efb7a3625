//! Files that the gate relies on: the right owner and mode at every level of the path, or refused.
//!
//! Invariant: each level is opened below the one before and is looked at by descriptor; no link is followed.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::flags::DIRECTORY;
use super::repair::{self, Closed, Seen};

/// The users who may own, and so may change, the files that the gate relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trusted {
    /// Besides root.
    pub uid: u32,
}

impl Trusted {
    fn owner(self, stat: &FileStat) -> bool {
        stat.st_uid == 0 || stat.st_uid == self.uid
    }

    /// Others may write to a directory like /tmp only under the sticky bit: no other user can rename or remove the
    /// files of a trusted user there, and files of other users are refused one level down.
    pub(crate) fn directory(self, stat: &FileStat) -> bool {
        let sticky = stat.st_mode & 0o1000 != 0;
        self.owner(stat) && (stat.st_mode & 0o022 == 0 || sticky)
    }

    /// The fault of a file or folder that another user may change, or open if it is closed to all.
    fn complaint(self, path: &Path, stat: &FileStat, closed: Closed) -> Option<String> {
        let seen = Seen::from(stat);
        let commands = repair::commands(path, seen, self.uid, closed);
        (!commands.is_empty()).then(|| {
            format!(
                "{} belongs to uid {} with mode {:04o}; it must belong to {} and not be {} group or others; run `{}`",
                path.display(),
                seen.uid,
                seen.mode,
                self.words(),
                match closed {
                    Closed::Writing => "writable by",
                    Closed::All => "open to",
                },
                commands.join(" && ")
            )
        })
    }

    /// The trusted users in words.
    pub(crate) fn words(self) -> String {
        if self.uid == 0 {
            "root".to_owned()
        } else {
            format!("root or uid {}", self.uid)
        }
    }
}

/// Reads a file of at most `limit` bytes that only `trusted` and root could have changed, or read if it is `closed` to
/// all.
///
/// # Errors
/// A sentence that says which path level is wrong, how, and with which commands it is repaired.
pub fn read_trusted(
    path: &Path,
    trusted: Trusted,
    closed: Closed,
    limit: u64,
) -> Result<Vec<u8>, String> {
    let fd = open_trusted(path, trusted, closed)?;
    let mut bytes = Vec::new();
    let read = File::from(fd).take(limit + 1).read_to_end(&mut bytes);
    let length = read.map_err(|e| format!("{}: {e}", path.display()))?;
    if length as u64 > limit {
        return Err(format!("{} is larger than {limit} bytes", path.display()));
    }
    Ok(bytes)
}

/// Opens a file that only `trusted` and root could have changed, or read if it is `closed` to all.
fn open_trusted(path: &Path, trusted: Trusted, closed: Closed) -> Result<OwnedFd, String> {
    let mut walked = PathBuf::from("/");
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(part) => parts.push(part),
            _ => return Err(format!("{} is not a plain absolute path", path.display())),
        }
    }
    if !path.is_absolute() || parts.is_empty() {
        return Err(format!(
            "{} is not an absolute path of a file",
            path.display()
        ));
    }
    let mut fd = open("/", DIRECTORY, Mode::empty()).map_err(|e| format!("/: {}", e.desc()))?;
    let last = parts.len() - 1;
    for (at, part) in parts.into_iter().enumerate() {
        walked.push(part);
        let here = walked.display().to_string();
        let flags = if at == last {
            DIRECTORY.difference(OFlag::O_DIRECTORY)
        } else {
            DIRECTORY
        };
        let closed = if at == last { closed } else { Closed::Writing };
        let opened = openat(&fd, part, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ELOOP | Errno::ENOTDIR => {
                format!("{here} is a link or not a directory; name the real place")
            }
            // The gate may have given up the right to open files of others, and says so of this one.
            Errno::EACCES => fstatat(&fd, part, AtFlags::AT_SYMLINK_NOFOLLOW)
                .ok()
                .and_then(|stat| trusted.complaint(&walked, &stat, closed))
                .unwrap_or_else(|| format!("{here}: {}", errno.desc())),
            other => format!("{here}: {}", other.desc()),
        })?;
        fd = opened;
        let stat = fstat(&fd).map_err(|e| format!("{here}: {}", e.desc()))?;
        // First: the permissions of a file are the wrong ones for a folder.
        if at == last && stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(format!("{here} is not a regular file"));
        }
        if let Some(complaint) = trusted.complaint(&walked, &stat, closed) {
            return Err(complaint);
        }
    }
    Ok(fd)
}
