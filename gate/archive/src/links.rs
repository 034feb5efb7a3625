//! Files with several names: which of them is in the archive already, and under which name.
//!
//! Invariant: the table's size is bounded. Past the bound a further name becomes a copy, which is told: nothing is
//! lost but the room.

use std::collections::HashMap;

use nix::sys::stat::FileStat;

use super::entry::Moment;
use base::dirfd::Identity;

/// Remembered bytes: some 30,000 files with names still to come.
const MAX_BYTES: usize = 8 << 20;

/// Cost of an entry of the table besides its name.
const OVERHEAD: usize = 200;

/// A file that has further names.
struct Known {
    path: Vec<u8>,
    /// Number of names still to come.
    left: u64,
    state: State,
}

/// Facts that change when a file is written, or its owner or mode changes.
pub type State = (Moment, (i64, i64), i64);

/// See [`State`].
#[allow(
    clippy::useless_conversion,
    clippy::allow_attributes,
    reason = "both are narrower on some systems"
)]
#[must_use]
pub fn state(stat: &FileStat) -> State {
    // The change time too: a program may set the modification time back.
    let changed = (i64::from(stat.st_ctime), i64::from(stat.st_ctime_nsec));
    (Moment::modified(stat), changed, stat.st_size)
}

/// The table's answer for a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing yet.
    New,
    /// It is in the archive under this name.
    Under(Vec<u8>),
    /// It was in the archive, and is no longer the same.
    Changed,
}

/// The table.
#[derive(Default)]
pub struct Links {
    known: HashMap<(u64, u64), Known>,
    bytes: usize,
}

impl Links {
    /// Looks for a file with several names.
    pub fn look(&mut self, stat: &FileStat) -> Seen {
        let Identity { device, inode } = stat.into();
        let Some(known) = self.known.get_mut(&(device, inode)) else {
            return Seen::New;
        };
        if known.state != state(stat) {
            return Seen::Changed;
        }
        known.left = known.left.saturating_sub(1);
        if known.left > 0 {
            return Seen::Under(known.path.clone());
        }
        // That was the last of its names.
        match self.known.remove(&(device, inode)) {
            Some(known) => {
                self.bytes -= known.path.len() + OVERHEAD;
                Seen::Under(known.path)
            }
            None => Seen::New,
        }
    }

    /// Remembers a file under the name by which it went into the archive; `false` when the table is full.
    pub fn remember(&mut self, stat: &FileStat, path: &[u8]) -> bool {
        let size = path.len() + OVERHEAD;
        if self.bytes + size > MAX_BYTES {
            return false;
        }
        let Identity { device, inode } = stat.into();
        #[allow(
            clippy::useless_conversion,
            clippy::allow_attributes,
            reason = "it is narrower on some systems"
        )]
        let left = u64::from(stat.st_nlink).saturating_sub(1);
        let known = Known {
            path: path.to_vec(),
            left,
            state: state(stat),
        };
        self.known.insert((device, inode), known);
        self.bytes += size;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_until_the_last_and_the_table_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        std::fs::write(&a, "x").unwrap();
        std::fs::hard_link(&a, &b).unwrap();
        std::fs::hard_link(&a, &c).unwrap();
        let stat = nix::sys::stat::stat(&a).unwrap();
        let mut links = Links::default();
        assert_eq!(links.look(&stat), Seen::New);
        assert!(links.remember(&stat, b"data/a"));
        assert_eq!(links.look(&stat), Seen::Under(b"data/a".to_vec()));
        assert_eq!(links.look(&stat), Seen::Under(b"data/a".to_vec()));
        assert_eq!(links.bytes, 0);
        assert_eq!(links.look(&stat), Seen::New);
        assert!(links.remember(&stat, b"data/a"));
        std::fs::write(&a, "longer").unwrap();
        let stat = nix::sys::stat::stat(&a).unwrap();
        assert_eq!(links.look(&stat), Seen::Changed);
        links.bytes = MAX_BYTES;
        assert!(!links.remember(&stat, b"data/a"));
    }
}
