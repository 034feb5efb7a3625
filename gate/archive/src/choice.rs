//! The entries of a copy that a restore makes: all of them, or some files and folders with everything in them.
//!
//! Invariant: a chosen entry comes with the folders above it, and a chosen hard link with the file that it names. So each
//! entry of a restored part finds its folder and its file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;

use super::manifest::Record;
use super::{Named, ROOT};

/// Chosen entries.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Paths from the root, each with true once an entry has it; `None` chooses all entries.
    paths: Option<BTreeMap<Vec<u8>, bool>>,
}

/// Numbers of chosen entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Entries of all kinds, with the folders above.
    pub entries: u64,
    /// Bytes of their contents.
    pub bytes: u64,
}

impl Chosen {
    /// Counts an entry.
    pub fn count(&mut self, record: &Record) {
        self.entries += 1;
        if matches!(record.letter, 'f' | 's') {
            self.bytes = self.bytes.saturating_add(record.size);
        }
    }
}

impl Choice {
    /// The entries with these paths below the root, and everything in them; all entries without a path.
    pub fn of<'p>(paths: impl Iterator<Item = &'p [u8]>) -> Self {
        let rooted = |path: &[u8]| [ROOT.as_bytes(), b"/", path].concat();
        let paths: BTreeMap<_, _> = paths.map(|path| (rooted(path), false)).collect();
        Self {
            paths: (!paths.is_empty()).then_some(paths),
        }
    }

    /// True if all entries are chosen.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.paths.is_none()
    }

    /// Notes an entry of the list, before the first entry is made. The list is read in its order.
    pub fn note(&mut self, record: &Record) {
        let is_chosen = self.wants(&record.path, record.letter == 'd');
        let Some(paths) = &mut self.paths else {
            return;
        };
        if let Some(found) = paths.get_mut(&record.path) {
            *found = true;
        }
        if let Some(target) = &record.target
            && is_chosen
            && record.letter == 'h'
        {
            paths.entry(target.clone()).or_insert(true);
        }
    }

    /// The chosen paths that no entry has.
    #[must_use]
    pub fn missing(&self) -> Named {
        let mut named = Named::default();
        for (path, found) in self.paths.iter().flatten() {
            if !found {
                let below = path.get(ROOT.len() + 1..).unwrap_or_default();
                named.push(OsStr::from_bytes(below).display().to_string());
            }
        }
        named
    }

    /// True if the entry with this path is chosen, lies in a chosen folder, or is a folder above a chosen entry.
    #[must_use]
    pub fn wants(&self, path: &[u8], is_folder: bool) -> bool {
        let Some(paths) = &self.paths else {
            return true;
        };
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut above = ends.filter_map(|(end, _)| path.get(..end));
        if paths.contains_key(path) || above.any(|folder| paths.contains_key(folder)) {
            return true;
        }
        let inside = [path, b"/"].concat();
        let from = (Bound::Included(inside.as_slice()), Bound::Unbounded);
        let mut next = paths.range::<[u8], _>(from);
        is_folder
            && next
                .next()
                .is_some_and(|(chosen, _)| chosen.starts_with(&inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_holds_chosen_entries_their_contents_and_the_folders_above() {
        let chosen: [&[u8]; 2] = [b"a/b", b"\xff \xc3\xa9"];
        let choice = Choice::of(chosen.into_iter());
        for (path, is_folder) in [
            (&b"data"[..], true),
            (b"data/a", true),
            (b"data/a/b", false),
            (b"data/a/b/c/d", false),
            (b"data/\xff \xc3\xa9", false),
        ] {
            assert!(choice.wants(path, is_folder), "{path:?}");
        }
        for (path, is_folder) in [
            // A file cannot lie above a chosen entry.
            (&b"data/a"[..], false),
            (b"data/a/bc", true),
            (b"data/a/a", false),
            (b"data/a-b", true),
            (b"data/\xff", true),
            (b"dat", true),
        ] {
            assert!(!choice.wants(path, is_folder), "{path:?}");
        }
        assert_eq!(choice.missing().count, 2);
        assert!(Choice::of(std::iter::empty()).wants(b"data/x", false));
    }
}
