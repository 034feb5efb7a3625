//! The commands that give a file or folder back to those who may change it.
//!
//! Invariant: a command can be copied into a shell, for any path, and changes only the wrong owner and permissions.

use std::path::Path;

use nix::sys::stat::{FileStat, SFlag};
pub use readable::quoted;

/// The permissions that a file must not give to its group and to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Writing: others may know the content.
    Writing,
    /// Everything: the content is a secret.
    All,
}

impl Closed {
    /// The bits of a mode that must not be set.
    #[must_use]
    pub fn mask(self) -> u32 {
        match self {
            Self::Writing => 0o022,
            Self::All => 0o077,
        }
    }
}

/// A level of a path, as lstat(2) tells it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The owner.
    pub uid: u32,
    /// The permissions.
    pub mode: u32,
    /// True for a directory; under the sticky bit others may add files to one and not replace these.
    pub directory: bool,
}

impl From<&FileStat> for Seen {
    fn from(stat: &FileStat) -> Self {
        Self {
            uid: stat.st_uid,
            mode: stat.st_mode & 0o7777,
            directory: stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits(),
        }
    }
}

/// The commands after which only root and `trusted` have more rights than `closed` allows; empty when all is well.
#[must_use]
pub fn commands(path: &Path, seen: Seen, trusted: u32, closed: Closed) -> Vec<String> {
    let path = quoted(&path.display().to_string());
    let mut commands = Vec::new();
    if seen.uid != 0 && seen.uid != trusted {
        commands.push(if trusted == 0 {
            format!("chown root:root {path}")
        } else {
            format!("chown {trusted} {path}")
        });
    }
    let sticky = seen.directory && seen.mode & 0o1000 != 0;
    if seen.mode & closed.mask() != 0 && !sticky {
        commands.push(match closed {
            Closed::Writing => format!("chmod go-w {path}"),
            Closed::All => format!("chmod 0600 {path}"),
        });
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: u32, uid: u32, directory: bool, closed: Closed) -> Vec<String> {
        let seen = Seen {
            uid,
            mode,
            directory,
        };
        commands(Path::new("/a b"), seen, 0, closed)
    }

    #[test]
    fn only_the_wrong_is_changed() {
        assert!(check(0o600, 0, false, Closed::All).is_empty());
        assert!(check(0o644, 0, false, Closed::Writing).is_empty());
        assert_eq!(
            check(0o640, 0, false, Closed::All),
            ["chmod 0600 '/a b'"],
            "the group counts"
        );
        assert_eq!(
            check(0o666, 1000, false, Closed::Writing),
            ["chown root:root '/a b'", "chmod go-w '/a b'"]
        );
        assert!(check(0o1777, 0, true, Closed::Writing).is_empty());
        assert_eq!(
            check(0o1777, 0, false, Closed::Writing),
            ["chmod go-w '/a b'"],
            "a sticky file is not protected"
        );
    }
}
