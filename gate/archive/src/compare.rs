//! An archive against its manifest: entry by entry, and as a whole.
//!
//! Invariant: every entry of either side is compared or named as missing.

use super::Named;
use super::digest::Digest;
use super::manifest::{Reader, Record};
use base::error::Failure;
use std::collections::VecDeque;
use std::io::Read;

/// Bytes of paths that are remembered on either side.
const MAX_APART: usize = 4 << 20;

/// Result of checking an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries of all kinds.
    pub entries: u64,
    /// Regular files; each name of a file with several names counts.
    pub files: u64,
    /// Content as it stands in the archive.
    pub bytes: u64,
    /// The size of the `.tar.gz`.
    pub archive_bytes: u64,
    /// Its digest.
    pub archive: Digest,
    /// Differences from the manifest; `None` without a manifest.
    pub differences: Option<Differences>,
}

/// Differences between an archive and its manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Entries, each with its differences.
    pub different: Named,
    /// In the manifest and not in the archive.
    pub missing: Named,
    /// In the archive and not in the manifest.
    pub extra: Named,
    /// Of the whole archive: its name, its totals, its digest.
    pub whole: Named,
}

impl Differences {
    /// True without differences.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let all = [&self.different, &self.missing, &self.extra, &self.whole];
        all.iter().all(|named| named.is_empty())
    }

    /// Nothing, or a failure that names the differences.
    ///
    /// # Errors
    /// When anything differs.
    pub fn insist(&self) -> Result<(), Failure> {
        let mut parts = Vec::new();
        for (what, named) in [
            ("different", &self.different),
            ("missing", &self.missing),
            ("not in the manifest", &self.extra),
            ("as a whole", &self.whole),
        ] {
            if !named.is_empty() {
                parts.push(format!("{what}: {named}"));
            }
        }
        if parts.is_empty() {
            return Ok(());
        }
        Err(Failure::Verification(format!(
            "the archive is not what its manifest says ({})",
            parts.join("; ")
        )))
    }
}

/// A comparison that is going on.
pub struct Comparison<'a> {
    manifest: Reader<'a>,
    /// Noted, and not yet found in the archive.
    noted: Apart,
    /// Found, and not yet noted.
    found: Apart,
    /// Entries that stand at another offset than was noted.
    moved: u64,
    differences: Differences,
}

/// Records that still have no counterpart.
#[derive(Default)]
struct Apart {
    records: VecDeque<Record>,
    bytes: usize,
}

impl Apart {
    fn take(&mut self, path: &[u8]) -> Option<Record> {
        let at = self.records.iter().position(|record| record.path == path)?;
        let record = self.records.remove(at)?;
        self.bytes -= record.cost();
        Some(record)
    }

    /// Adds one; those that are too many come back, the oldest first.
    fn push(&mut self, record: Record, named: &mut Named) {
        self.bytes += record.cost();
        self.records.push_back(record);
        while self.bytes > MAX_APART {
            let Some(oldest) = self.records.pop_front() else {
                return;
            };
            self.bytes -= oldest.cost();
            named.push(oldest.display());
        }
    }
}

impl<'a> Comparison<'a> {
    /// With the manifest of an archive of this name.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(manifest: impl Read + 'a, name: &str) -> Result<Self, Failure> {
        let manifest = Reader::new(manifest)?;
        let mut differences = Differences::default();
        if manifest.archive() != name {
            let other = manifest.archive();
            differences
                .whole
                .push(format!("the manifest was written for {other}"));
        }
        Ok(Self {
            manifest,
            noted: Apart::default(),
            found: Apart::default(),
            moved: 0,
            differences,
        })
    }

    /// Compares an entry that was found.
    ///
    /// # Errors
    /// When the manifest is damaged.
    pub fn saw(&mut self, record: Record) -> Result<(), Failure> {
        if let Some(noted) = self.noted.take(&record.path) {
            self.compare(&noted, &record);
            return Ok(());
        }
        match self.manifest.record()? {
            Some(noted) if noted.path == record.path => self.compare(&noted, &record),
            Some(noted) => {
                self.found.push(record, &mut self.differences.extra);
                self.note(noted);
            }
            None => self.found.push(record, &mut self.differences.extra),
        }
        Ok(())
    }

    fn note(&mut self, noted: Record) {
        match self.found.take(&noted.path) {
            Some(found) => self.compare(&noted, &found),
            None => self.noted.push(noted, &mut self.differences.missing),
        }
    }

    fn compare(&mut self, noted: &Record, found: &Record) {
        self.moved += u64::from(noted.is_moved(found));
        if let Some(words) = noted.differs(found) {
            let path = noted.display();
            self.differences.different.push(format!("{path} ({words})"));
        }
    }

    /// The result, after all entries.
    ///
    /// # Errors
    /// When the manifest is damaged.
    pub fn finish(mut self, report: &Report) -> Result<Differences, Failure> {
        while let Some(noted) = self.manifest.record()? {
            self.note(noted);
        }
        for record in &self.noted.records {
            self.differences.missing.push(record.display());
        }
        for record in &self.found.records {
            self.differences.extra.push(record.display());
        }
        // Where entries are missing or extra, the offsets of all others follow from that.
        if self.moved > 0 && self.differences.is_empty() {
            let moved = self.moved;
            self.differences
                .whole
                .push(format!("{moved} entries stand at other offsets"));
        }
        if let Some(totals) = self.manifest.totals() {
            for (what, noted, found) in [
                ("entries", totals.entries, report.entries),
                ("bytes of content", totals.bytes, report.bytes),
                ("bytes in all", totals.archive_bytes, report.archive_bytes),
            ] {
                if noted != found {
                    self.differences
                        .whole
                        .push(format!("{found} {what} instead of {noted}"));
                }
            }
            if totals.archive != report.archive {
                self.differences
                    .whole
                    .push("its SHA-256 is another one".to_owned());
            }
        }
        Ok(self.differences)
    }
}
