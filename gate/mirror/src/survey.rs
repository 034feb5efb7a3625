//! The files that the remote lists against the last manifest: the true manifest of the remote.
//!
//! Invariant: after a survey, the manifest holds exactly the files that were listed, and the entries without a file.

use std::cmp::Ordering;

use archive::ROOT;
use archive::entry::{Attributes, Moment};
use archive::manifest::{NotedAttributes, Record, RemoteHash};
use base::error::Failure;

use crate::diff::{Known, is_about};
use crate::fits::LINK;
use crate::order::{compare, within};
use crate::quickxor::HASH;

/// The time of a file that the remote changed.
const NEVER: Moment = Moment {
    seconds: 0,
    nanoseconds: 1,
};

/// A file on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The path of its entry.
    pub(crate) path: Vec<u8>,
    /// True for the file of a link.
    pub(crate) is_link: bool,
    /// Its size.
    pub(crate) size: u64,
    /// Its time; `None` if the remote keeps none.
    pub(crate) modified: Option<Moment>,
    /// Its hash, if the remote tells one.
    pub(crate) hash: Option<RemoteHash>,
}

impl Listed {
    /// A file at this path below the data.
    #[must_use]
    pub fn new(file: &[u8], size: u64, modified: Option<Moment>, hash: Option<RemoteHash>) -> Self {
        let name = file.strip_suffix(LINK);
        Self {
            path: [ROOT.as_bytes(), b"/", name.unwrap_or(file)].concat(),
            is_link: name.is_some(),
            size,
            modified,
            hash,
        }
    }
}

impl Listed {
    /// True if the content can be compared by its hash. A link is compared by its target.
    #[must_use]
    pub fn is_provable(&self) -> bool {
        self.is_link || self.hash.as_ref().is_some_and(|hash| hash.kind == HASH)
    }
}

/// The result of a survey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Files that are as the manifest says.
    pub right: u64,
    /// Files of the manifest that are not there.
    pub missing: u64,
    /// Files with another size or time.
    pub different: u64,
    /// Files that the manifest does not know.
    pub surplus: u64,
    /// Files under the path of an entry that has no file. They stay as they are.
    pub ignored: u64,
}

impl Found {
    /// True if the manifest is right.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.missing + self.different + self.surplus == 0
    }
}

/// Merges the manifest with the listing, and passes the entries of the true manifest to `take`, in order.
///
/// A file that the remote changed keeps its place with the size and the time of the listing and without a digest, so that
/// the next comparison sends its content again and puts this one among the versions. `has_hashes` is true for a remote
/// whose listings hold hashes; a hash that the manifest does not hold yet is taken over.
///
/// # Errors
/// When a list cannot be read, or `take` ends it.
pub fn survey(
    before: &mut dyn FnMut() -> Result<Option<Known>, Failure>,
    listed: &mut dyn FnMut() -> Result<Option<Listed>, Failure>,
    has_hashes: bool,
    take: &mut dyn FnMut(Known) -> Result<(), Failure>,
) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut out = Parents {
        open: Vec::new(),
        take,
    };
    let mut old = before()?;
    let mut file = listed()?;
    loop {
        let order = match (&old, &file) {
            (None, None) => return Ok(found),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(known), Some(listed)) => compare(&known.record.path, &listed.path),
        };
        match order {
            Ordering::Less => {
                if let Some(known) = old.take() {
                    out.without_file(known, &mut found)?;
                }
                old = before()?;
            }
            Ordering::Greater => {
                if let Some(listed) = file.take() {
                    found.surplus += 1;
                    out.pass(unknown(&listed))?;
                }
                file = listed()?;
            }
            Ordering::Equal => {
                let (Some(known), Some(first)) = (old.take(), file.take()) else {
                    continue;
                };
                file = listed()?;
                // A file and the file of a link may stand under one path.
                let second = file.take_if(|second| second.path == first.path);
                if second.is_some() {
                    file = listed()?;
                }
                out.with_files(known, [Some(first), second], has_hashes, &mut found)?;
                old = before()?;
            }
        }
    }
}

/// Passes entries on, each behind the folders that it lies in.
struct Parents<'t> {
    open: Vec<Vec<u8>>,
    take: &'t mut dyn FnMut(Known) -> Result<(), Failure>,
}

impl Parents<'_> {
    fn pass(&mut self, known: Known) -> Result<(), Failure> {
        let path = &known.record.path;
        self.open.retain(|folder| within(path, folder));
        let parents = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for folder in parents.filter_map(|(at, _)| path.get(..at)) {
            if !self.open.iter().any(|open| open == folder) {
                self.open.push(folder.to_vec());
                (self.take)(folder_of(folder))?;
            }
        }
        if known.record.letter == 'd' {
            self.open.push(path.clone());
        }
        (self.take)(known)
    }

    fn without_file(&mut self, known: Known, found: &mut Found) -> Result<(), Failure> {
        if known.is_stored() {
            found.missing += 1;
            return Ok(());
        }
        self.pass(known)
    }

    fn with_files(
        &mut self,
        mut known: Known,
        files: [Option<Listed>; 2],
        has_hashes: bool,
        found: &mut Found,
    ) -> Result<(), Failure> {
        let is_link = known.record.letter == 'l';
        let is_stored = known.is_stored();
        let (own, others): (Vec<Listed>, Vec<Listed>) = files
            .into_iter()
            .flatten()
            .partition(|listed| is_stored && listed.is_link == is_link);
        // There is room for one entry under a path, so such a file stays where it is.
        found.ignored += others.len() as u64;
        match own.into_iter().next() {
            None => self.without_file(known, found),
            Some(listed) if is_right(&known.record, &listed, has_hashes) => {
                found.right += 1;
                if listed.hash.is_some() {
                    known.record.hash = listed.hash;
                }
                self.pass(known)
            }
            Some(listed) => {
                found.different += 1;
                let mut known = unknown(&listed);
                // No file has this time, so no comparison takes the content for that of the tree.
                known.record.modified = NEVER;
                known.record.hash = None;
                self.pass(known)
            }
        }
    }
}

/// An entry of which nothing but the listing is known.
fn bare(letter: char, path: &[u8]) -> Record {
    Record {
        letter,
        mode: if letter == 'd' { 0o700 } else { 0o600 },
        uid: 0,
        gid: 0,
        modified: Moment::default(),
        size: 0,
        content: None,
        attributes: NotedAttributes::All(Attributes::default()),
        path: path.to_vec(),
        target: None,
        at: None,
        hash: None,
    }
}

fn folder_of(path: &[u8]) -> Known {
    Known {
        record: bare('d', path),
        bundled: false,
    }
}

pub(crate) fn unknown(listed: &Listed) -> Known {
    let letter = if listed.is_link { 'l' } else { 'f' };
    let record = Record {
        modified: listed.modified.unwrap_or_default(),
        // The size of a link's file is none of the link's.
        size: if listed.is_link { 0 } else { listed.size },
        // Its target is in the file alone.
        target: listed.is_link.then(|| b"?".to_vec()),
        hash: listed.hash.clone(),
        ..bare(letter, &listed.path)
    };
    Known {
        record,
        bundled: false,
    }
}

fn is_right(record: &Record, listed: &Listed, has_hashes: bool) -> bool {
    if let Some(target) = &record.target {
        return target.len() as u64 == listed.size;
    }
    if record.size != listed.size {
        return false;
    }
    match (&record.hash, &listed.hash) {
        (Some(known), Some(told)) if known.kind == told.kind => known == told,
        _ => {
            let is_same_time = |told| is_about(told, record.modified) || record.content.is_none();
            !has_hashes || listed.modified.is_none_or(is_same_time)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sort::Sorter;

    fn known(path: &str, letter: char, size: u64) -> Known {
        let mut record = bare(letter, path.as_bytes());
        record.size = size;
        record.target = (letter == 'l').then(|| vec![b'x'; 3]);
        Known {
            record,
            bundled: false,
        }
    }

    fn look(before: &[Known], files: &[(&str, u64)]) -> (Found, Vec<String>) {
        let mut sorter = Sorter::new(|| tempfile::tempfile().map_err(Failure::io("a piece")));
        for (path, size) in files {
            let listed = Listed::new(path.as_bytes(), *size, None, None);
            sorter.push(listed).unwrap();
            // Several pieces.
            sorter.spill().unwrap();
        }
        let mut sorted = sorter.finish().unwrap();
        let mut before = before.iter().cloned();
        let mut entries = Vec::new();
        let found = survey(
            &mut || Ok(before.next()),
            &mut || sorted.file(),
            false,
            &mut |known| {
                let path = String::from_utf8(known.record.path).unwrap();
                entries.push(format!(
                    "{} {path} {}",
                    known.record.letter, known.record.size
                ));
                Ok(())
            },
        )
        .unwrap();
        (found, entries)
    }

    #[test]
    fn the_manifest_becomes_that_of_the_files_that_are_there() {
        let before = [
            known("data", 'd', 0),
            known("data/a", 'f', 1),
            known("data/b", 'd', 0),
            known("data/b/c", 'f', 2),
            known("data/b/d", 'f', 3),
            known("data/b.x", 'l', 0),
            known("data/p", 'p', 0),
        ];
        let files = [
            ("p", 9),
            ("new/deep/file", 5),
            ("b/d", 4),
            ("a", 1),
            ("b.x.rclonelink", 3),
            ("z.rclonelink", 2),
        ];
        let (found, entries) = look(&before, &files);
        let expected = Found {
            right: 2,
            missing: 1,
            different: 1,
            surplus: 2,
            ignored: 1,
        };
        assert_eq!(found, expected);
        assert_eq!(
            entries,
            [
                "d data 0",
                "f data/a 1",
                "d data/b 0",
                "f data/b/d 4",
                "l data/b.x 0",
                "d data/new 0",
                "d data/new/deep 0",
                "f data/new/deep/file 5",
                "p data/p 0",
                "l data/z 0",
            ]
        );
    }

    #[test]
    fn a_mirror_without_a_manifest_is_made_of_its_listing() {
        let (found, entries) = look(&[], &[("b/c", 1), ("a", 2)]);
        assert_eq!(found.surplus, 2);
        assert_eq!(
            entries,
            ["d data 0", "f data/a 2", "d data/b 0", "f data/b/c 1"]
        );
    }

    #[test]
    fn a_remote_that_keeps_seconds_agrees_with_a_manifest_that_holds_nanoseconds() {
        let mut entry = known("data/a", 'f', 3).record;
        entry.content = Some(archive::digest::Hasher::default().finish());
        entry.modified = Moment {
            seconds: 1_800_000_000,
            nanoseconds: 123_456_789,
        };
        let at = |seconds| {
            Listed::new(
                b"a",
                3,
                Some(Moment {
                    seconds,
                    nanoseconds: 0,
                }),
                None,
            )
        };
        assert!(is_right(&entry, &at(1_800_000_000), true));
        assert!(!is_right(&entry, &at(1_800_000_100), true));
    }
}
