//! A full manifest and its deltas, merged into the entries of the last night.
//!
//! All files are read side by side, in the one order; of two lines for a path the one of the newer file counts.
//!
//! Invariant: each entry comes after the directory that it lies in, exactly once, in order; a delta that takes away an
//! entry that is not there is damaged. Memory holds one line of each file.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::Read;

use base::error::Failure;

use crate::delta::{Change, DeltaReader};
use crate::entry::{Entry, Stored};
use crate::heading::Heading;
use crate::lines::wrong;
use crate::manifest::ManifestReader;
use crate::order::{compare, within};

/// An entry of the last night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The entry. Of an older delta than the last one, its content is at its path or in the bundle.
    pub entry: Entry,
    /// True if the last delta holds it.
    pub is_of_last: bool,
}

/// A line that waits for its turn; the newest file of a path comes first.
struct Head {
    change: Change,
    /// 0 is the full manifest, then the deltas.
    file: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.change.path(), other.change.path()).then_with(|| other.file.cmp(&self.file))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

/// The entries of the last night, one after the other.
pub struct Chain<'a> {
    full: ManifestReader<'a>,
    deltas: Vec<DeltaReader<'a>>,
    heads: BinaryHeap<Reverse<Head>>,
    /// The directories around the last entry.
    around: Vec<Vec<u8>>,
}

impl<'a> Chain<'a> {
    /// Begins to read a full manifest and its deltas, oldest first.
    ///
    /// # Errors
    /// When a first line is malformed, or the files do not belong together.
    pub fn new<R: Read + 'a>(
        full: R,
        deltas: impl IntoIterator<Item = R>,
    ) -> Result<Self, Failure> {
        let full = ManifestReader::new(full)?;
        let deltas: Vec<DeltaReader<'a>> = deltas
            .into_iter()
            .map(DeltaReader::new)
            .collect::<Result<_, _>>()?;
        let mut before = full.heading().number;
        for heading in deltas.iter().map(DeltaReader::heading) {
            let follows = before.next_delta() == Some(heading.number)
                && heading.subject == full.heading().subject;
            if !follows {
                return Err(wrong(format!(
                    "delta {} does not follow {before}",
                    heading.number
                )));
            }
            before = heading.number;
        }
        let mut chain = Self {
            full,
            deltas,
            heads: BinaryHeap::new(),
            around: Vec::new(),
        };
        for file in 0..=chain.deltas.len() {
            chain.advance(file)?;
        }
        Ok(chain)
    }

    /// The heading of the last file.
    #[must_use]
    pub fn heading(&self) -> &Heading {
        self.deltas
            .last()
            .map_or(self.full.heading(), DeltaReader::heading)
    }

    fn advance(&mut self, file: usize) -> Result<(), Failure> {
        let change = match file.checked_sub(1) {
            None => self.full.entry()?.map(Change::Put),
            Some(delta) => match self.deltas.get_mut(delta) {
                Some(reader) => reader.change()?,
                None => None,
            },
        };
        if let Some(change) = change {
            self.heads.push(Reverse(Head { change, file }));
        }
        Ok(())
    }

    /// The next entry of the last night; `None` at the end.
    ///
    /// # Errors
    /// When a file is damaged, or the result is no tree.
    pub fn entry(&mut self) -> Result<Option<Current>, Failure> {
        while let Some(Reverse(newest)) = self.heads.pop() {
            self.advance(newest.file)?;
            // The older lines of this path, newest first: before an entry is gone, it was there.
            let mut was_there = matches!(newest.change, Change::Gone(_));
            while let Some(Reverse(older)) = self.heads.peek()
                && older.change.path() == newest.change.path()
            {
                let Some(Reverse(older)) = self.heads.pop() else {
                    break;
                };
                let gone = matches!(older.change, Change::Gone(_));
                if was_there && gone {
                    return Err(never_there(older.change.path()));
                }
                was_there = gone;
                self.advance(older.file)?;
            }
            if was_there {
                return Err(never_there(newest.change.path()));
            }
            let Change::Put(mut entry) = newest.change else {
                continue;
            };
            self.enter(&entry)?;
            let is_of_last = newest.file == self.deltas.len() && newest.file > 0;
            if !is_of_last && matches!(entry.stored, Stored::Incoming(_)) {
                entry.stored = Stored::Data;
            }
            return Ok(Some(Current { entry, is_of_last }));
        }
        Ok(None)
    }

    /// Checks that the entry lies in a directory of this night.
    fn enter(&mut self, entry: &Entry) -> Result<(), Failure> {
        let path = &entry.record.path;
        while self
            .around
            .last()
            .is_some_and(|folder| !within(path, folder))
        {
            self.around.pop();
        }
        let parent = path.iter().rposition(|&byte| byte == b'/');
        let parent = parent.and_then(|at| path.get(..at));
        if parent != self.around.last().map(Vec::as_slice) {
            return Err(wrong(format!(
                "{} has no directory around it",
                entry.record.display()
            )));
        }
        if entry.record.letter == 'd' {
            self.around.push(path.clone());
        }
        Ok(())
    }
}

fn never_there(path: &[u8]) -> Failure {
    wrong(format!(
        "a delta takes {} away, which is not there",
        archive::manifest::escape(path)
    ))
}
