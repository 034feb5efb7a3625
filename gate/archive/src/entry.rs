//! One entry of an archive: everything but its content.
//!
//! Invariant: a path holds the bytes of the archive unchanged; `place` decides if it is safe to create.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::stat::FileStat;

use super::digest::{Digest, Hasher};

/// The largest size of a file: Linux counts with a sign (`off_t`).
pub(super) const MAX_SIZE: u64 = u64::MAX >> 1;

/// A point in time, as the kernel keeps it: nanoseconds count forward, also before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Since 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl Moment {
    /// Time of the last modification.
    #[must_use]
    #[allow(
        clippy::useless_conversion,
        clippy::allow_attributes,
        reason = "time_t is narrower on some systems"
    )]
    pub fn modified(stat: &FileStat) -> Self {
        Self {
            seconds: i64::from(stat.st_mtime),
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        }
    }

    /// Reads the form that [`Display`](fmt::Display) writes, and the forms of other programs in PAX headers.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let seconds: i64 = whole.parse().ok()?;
        let nanoseconds: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        Some(match (negative, nanoseconds) {
            (false, _) => Self {
                seconds,
                nanoseconds,
            },
            (true, 0) => Self {
                seconds: -seconds,
                nanoseconds,
            },
            (true, _) => Self {
                seconds: -seconds - 1,
                nanoseconds: 1_000_000_000 - nanoseconds,
            },
        })
    }
}

/// `-1.500000000` is a second and a half before 1970.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, seconds, nanoseconds) = match (self.seconds, self.nanoseconds) {
            (0.., nanoseconds) => ("", self.seconds.unsigned_abs(), nanoseconds),
            (_, 0) => ("-", self.seconds.unsigned_abs(), 0),
            (_, n) => (
                "-",
                (self.seconds + 1).unsigned_abs(),
                1_000_000_000_u32.saturating_sub(n),
            ),
        };
        write!(f, "{sign}{seconds}.{nanoseconds:09}")
    }
}

/// The number of a user or group; `None` for 4294967295, which is
/// no owner: chown(2) takes it for "leave the owner as it is".
#[must_use]
pub fn owner(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|&id| id != u32::MAX)
}

/// Type of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file; its content follows.
    File {
        /// In bytes.
        size: u64,
    },
    /// A regular file with holes; its map and its data follow.
    Sparse {
        /// With its holes, in bytes.
        size: u64,
        /// Size in the archive: the map and the data.
        stored: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Its target.
        target: Vec<u8>,
    },
    /// Another name of a file that came earlier.
    HardLink {
        /// The path of that file in the archive.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A device, which the gate neither packs nor makes.
    Other {
        /// The letter in the header.
        letter: u8,
        /// The bytes that follow.
        stored: u64,
    },
}

impl Kind {
    /// Number of bytes after the header, without the padding.
    #[must_use]
    pub fn stored(&self) -> u64 {
        match self {
            Self::File { size } => *size,
            Self::Sparse { stored, .. } | Self::Other { stored, .. } => *stored,
            Self::Directory | Self::Symlink { .. } | Self::HardLink { .. } | Self::Fifo => 0,
        }
    }

    /// True for each name of a regular file.
    #[must_use]
    pub fn names_a_file(&self) -> bool {
        match self {
            Self::File { .. } | Self::Sparse { .. } | Self::HardLink { .. } => true,
            Self::Directory | Self::Symlink { .. } | Self::Fifo | Self::Other { .. } => false,
        }
    }

    /// A size that no file can have.
    pub(super) fn too_large(&self) -> Option<u64> {
        let size = match self {
            Self::Sparse { size, stored } => *size.max(stored),
            kind => kind.stored(),
        };
        (size > MAX_SIZE).then_some(size)
    }
}

/// Extended attributes by name, sorted; ACLs are those called `system.posix_acl_access` and `…_default`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(pub Vec<(Vec<u8>, Vec<u8>)>);

impl Attributes {
    /// A digest of all names and values; `None` where there are none.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        if self.0.is_empty() {
            return None;
        }
        let mut hasher = Hasher::default();
        for (name, value) in &self.0 {
            hasher.update(name);
            hasher.update(&[0]);
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value);
        }
        Some(hasher.finish())
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From the root of the archive, without a slash at either end.
    pub path: Vec<u8>,
    /// Its type.
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last modification.
    pub modified: Moment,
    /// Extended attributes and ACLs. A hard link has none: they are those of its target.
    pub attributes: Attributes,
}

impl Entry {
    /// Its path, for messages.
    #[must_use]
    pub fn display(&self) -> std::path::Display<'_> {
        Path::new(OsStr::from_bytes(&self.path)).display()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_before_1970_are_written_as_posix_says() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0.000000000"),
            (1, 5, "1.000000005"),
            (-1, 0, "-1.000000000"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 500_000_000, "-1.500000000"),
        ] {
            let moment = Moment {
                seconds,
                nanoseconds,
            };
            assert_eq!(moment.to_string(), text);
            assert_eq!(Moment::parse(text.as_bytes()), Some(moment));
        }
        assert_eq!(
            Moment::parse(b"12.5"),
            Some(Moment {
                seconds: 12,
                nanoseconds: 500_000_000
            })
        );
        for wrong in [
            &b""[..],
            b"-",
            b"1.2.3",
            b"+1",
            b"1e3",
            b"99999999999999999999",
        ] {
            assert_eq!(Moment::parse(wrong), None);
        }
    }

    proptest! {
        #[test]
        fn moments_are_read_as_they_were_written(seconds in -1_i64 << 40..1_i64 << 40, nanoseconds in 0_u32..1_000_000_000) {
            let moment = Moment { seconds, nanoseconds };
            prop_assert_eq!(Moment::parse(moment.to_string().as_bytes()), Some(moment));
        }
    }
}
