//! An archive as it comes in: its entries in the layout of the gate's own, counted, hashed and compared.
//!
//! Invariant: the layout is known before the first entry is handed out; only directories wait until then.

use std::collections::VecDeque;
use std::io::Read;

use super::compare::{Comparison, Report};
use super::digest::{Digest, Hasher, Hashing};
use super::entry::Entry;
use super::gunzip::Gunzip;
use super::layout::{Finder, Layout, Shown};
use super::manifest::Record;
use super::read::{Entries, Piece};
use super::{Watch, damaged};
use base::error::Failure;

/// An archive that is read to its end, counted and hashed, in the layout of the gate's own. Its code is there once for all
/// sources.
pub(super) struct Input<'a> {
    entries: Entries<Gunzip<Hashing<&'a mut dyn Read>>>,
    finder: Finder,
    layout: Option<Layout>,
    /// Read before the layout was known, each with its offset; at most one for each level of the deepest tree.
    waiting: VecDeque<(Entry, u64)>,
    ended: bool,
    /// The content of the last entry is the next in the archive.
    has_content: bool,
    began: u64,
    count: u64,
    files: u64,
    bytes: u64,
}

impl<'a> Input<'a> {
    pub(super) fn new(archive: &'a mut dyn Read) -> Self {
        Self {
            entries: Entries::gunzip(Hashing::new(archive)),
            finder: Finder::default(),
            layout: None,
            waiting: VecDeque::new(),
            ended: false,
            has_content: false,
            began: 0,
            count: 0,
            files: 0,
            bytes: 0,
        }
    }

    /// The next entry, as [`Entries::next`].
    pub(super) fn next(&mut self, watch: Watch<'_>) -> Result<Option<Entry>, Failure> {
        loop {
            let known = self.layout.is_some();
            if !known || (self.waiting.is_empty() && !self.ended) {
                match self.entries.next(watch)? {
                    Some(entry) => {
                        if !known && let Shown::Clear(layout) = self.finder.look(&entry)? {
                            self.layout = Some(layout);
                        }
                        self.waiting.push_back((entry, self.entries.began()));
                    }
                    None => {
                        self.ended = true;
                        if !known && let Shown::Clear(layout) = self.finder.end()? {
                            self.layout = Some(layout);
                        }
                    }
                }
            }
            let Some(layout) = &self.layout else { continue };
            let Some((entry, began)) = self.waiting.pop_front() else {
                return Ok(None);
            };
            // Only directories wait, which have none; the last was just read.
            self.has_content = self.waiting.is_empty() && !self.ended;
            self.began = began;
            if let Some(entry) = layout.apply(entry)? {
                return Ok(Some(entry));
            }
        }
    }

    /// The content of the last entry, as [`Entries::content`].
    pub(super) fn content(
        &mut self,
        watch: Watch<'_>,
        each: &mut dyn FnMut(Piece<'_>) -> Result<(), Failure>,
    ) -> Result<Digest, Failure> {
        if self.has_content {
            return self.entries.content(watch, each);
        }
        Ok(Hasher::default().finish())
    }

    /// Counts an entry and compares it.
    pub(super) fn saw(
        &mut self,
        entry: &Entry,
        content: Digest,
        comparison: Option<&mut Comparison<'_>>,
    ) -> Result<(), Failure> {
        self.count += 1;
        self.files += u64::from(entry.kind.names_a_file());
        self.bytes += entry.kind.stored();
        match comparison {
            Some(comparison) => comparison.saw(Record::of(entry, content, self.began)),
            None => Ok(()),
        }
    }

    pub(super) fn finish(self, comparison: Option<Comparison<'_>>) -> Result<Report, Failure> {
        let source = self.entries.into_source();
        let source = source.ok_or_else(|| damaged("it was not read to its end"))?;
        let (_, archive_bytes, archive) = source.finish();
        let mut report = Report {
            entries: self.count,
            files: self.files,
            bytes: self.bytes,
            archive_bytes,
            archive,
            differences: None,
        };
        if let Some(comparison) = comparison {
            report.differences = Some(comparison.finish(&report)?);
        }
        Ok(report)
    }
}
