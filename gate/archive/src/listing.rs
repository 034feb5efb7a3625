//! The names in a directory, a bounded number at a time.
//!
//! Names come sorted, so that two archives of one tree have one order. Of a directory with more of them than fit
//! into memory, each part is sorted for itself.
//!
//! Invariant: all listings of one walk together hold at most [`BUDGET`] and [`FLOOR`] for each level of the tree.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use nix::dir::{Dir, OwningIter};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::Watch;
use base::error::Failure;

/// For the names of all directories that are open: some 250,000 of them.
const BUDGET: usize = 8 << 20;

/// The least share of a directory.
const FLOOR: usize = 16 << 10;

/// Names between two looks at the watch.
const LOOK: usize = 1000;

/// Memory that the listings of a walk hold together.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget(Rc<Cell<usize>>);

/// A directory that is being listed.
pub(super) struct Listing {
    stream: OwningIter,
    budget: Budget,
    held: usize,
    bytes: Vec<u8>,
    /// Range of each name in `bytes`.
    names: Vec<(u32, u32)>,
    /// Names that `next` returned of those.
    at: usize,
}

impl Listing {
    /// Begins to list. The directory is opened anew, because a stream moves the offset that duplicates of a
    /// descriptor share.
    pub(super) fn open(directory: impl AsFd, budget: &Budget) -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let stream = Dir::openat(directory, ".", flags, Mode::empty())?.into_iter();
        Ok(Self {
            stream,
            budget: budget.clone(),
            held: 0,
            bytes: Vec::new(),
            names: Vec::new(),
            at: 0,
        })
    }

    /// Reads the next names; `false` when there are no more.
    pub(super) fn fill(&mut self, watch: Watch<'_>, passed: u64) -> Result<bool, Failure> {
        self.release();
        let free = BUDGET.saturating_sub(self.budget.0.get());
        // Half of the rest, so that the levels below get their share.
        let limit = FLOOR.max(free / 2);
        let mut size = 0;
        for entry in self.stream.by_ref() {
            let entry = entry.map_err(Failure::errno("listing the source"))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if self.names.len().is_multiple_of(LOOK) {
                watch(passed)?;
            }
            let begin = self.bytes.len();
            self.bytes.extend(name);
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            self.names.push((place(begin), place(self.bytes.len())));
            size += name.len() + size_of::<(u32, u32)>();
            if size >= limit {
                break;
            }
        }
        // Growing by doubling may have taken twice as much.
        self.bytes.shrink_to_fit();
        self.names.shrink_to_fit();
        self.held = size;
        self.budget.0.set(self.budget.0.get() + size);
        let bytes = &self.bytes;
        let text = |&(begin, end): &(u32, u32)| bytes.get(begin as usize..end as usize);
        self.names.sort_unstable_by(|a, b| text(a).cmp(&text(b)));
        Ok(!self.names.is_empty())
    }

    /// The next name, and the names after it as they are needed; `None` at the end.
    pub(super) fn next(&mut self, watch: Watch<'_>) -> Result<Option<OsString>, Failure> {
        if self.at == self.len() && !self.fill(watch, 0)? {
            return Ok(None);
        }
        let name = self.name(self.at).to_owned();
        self.at += 1;
        Ok(Some(name))
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// One of them.
    pub(super) fn name(&self, at: usize) -> &OsStr {
        let name = self.names.get(at).and_then(|&(begin, end)| {
            let range = begin as usize..end as usize;
            self.bytes.get(range)
        });
        OsStr::from_bytes(name.unwrap_or_default())
    }

    fn release(&mut self) {
        self.budget.0.set(self.budget.0.get() - self.held);
        self.held = 0;
        self.at = 0;
        self.bytes.clear();
        self.names.clear();
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn quiet(_: u64) -> Result<(), Failure> {
        Ok(())
    }

    #[test]
    fn a_directory_that_exceeds_its_share_is_listed_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let names: BTreeSet<String> = (0..3000).map(|n| format!("{n:0100}")).collect();
        for name in &names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let directory = std::fs::File::open(folder.path()).unwrap();
        let budget = Budget::default();
        // The other levels hold nearly everything.
        budget.0.set(BUDGET);
        let mut listing = Listing::open(&directory, &budget).unwrap();
        let (mut seen, mut parts) = (BTreeSet::new(), 0);
        while listing.fill(&mut quiet, 0).unwrap() {
            parts += 1;
            let part: Vec<String> = (0..listing.len())
                .map(|at| listing.name(at).to_str().unwrap().to_owned())
                .collect();
            assert!(part.is_sorted());
            assert!(budget.0.get() <= BUDGET + FLOOR + 200);
            seen.extend(part);
        }
        assert!(parts > 3);
        assert_eq!(seen, names);
        drop(listing);
        assert_eq!(budget.0.get(), BUDGET);
    }

    #[test]
    fn names_come_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", "c"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let directory = std::fs::File::open(folder.path()).unwrap();
        let mut listing = Listing::open(&directory, &Budget::default()).unwrap();
        let mut names = Vec::new();
        while let Some(name) = listing.next(&mut quiet).unwrap() {
            names.push(name);
        }
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(listing.next(&mut quiet).unwrap(), None);
    }

    #[test]
    fn a_listing_can_be_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        let directory = std::fs::File::open(folder.path()).unwrap();
        let mut listing = Listing::open(&directory, &Budget::default()).unwrap();
        let stop = &mut |_| Err(Failure::NoSpace("stop".into()));
        assert!(listing.fill(stop, 0).is_err());
    }
}
