//! The tree as it is now against the last manifest → the list of changes, in one pass over both.
//!
//! Size and time of modification decide if a content is another one. The digest of a content is not known here: it is
//! computed while the service is up. Inode and change time decide nothing: those of a captured tree are its own.
//!
//! Invariant: a content that the manifest does not describe is sent, and a path that the tree no longer has is gone; no
//! other entry of the manifest is touched.

use std::cmp::Ordering;
use std::io::Write;

use archive::Named;
use archive::entry::Moment;
use archive::manifest::Record;
use base::error::Failure;
use serde::{Deserialize, Serialize};

use crate::changes::{Item, Work};
use crate::fits::{Fits, Reason};
use crate::order::compare;
use crate::scan::shown;

/// An entry of the last manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The entry.
    pub record: Record,
    /// True if its content is in the bundle.
    pub bundled: bool,
}

impl Known {
    /// True if the entry has a file of its own below the data on the remote.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        has_content(self.record.letter) && !self.bundled
    }
}

/// True for entries whose content is on the remote: files, and links.
#[must_use]
pub fn has_content(letter: char) -> bool {
    matches!(letter, 'f' | 's' | 'l')
}

/// The last manifest, entry by entry in its order.
pub type Before<'b> = &'b mut dyn FnMut() -> Result<Option<Known>, Failure>;

/// The size of the difference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Files in the mirror before: contents, and further names of files.
    pub mirrored: u64,
    /// Of these, files that are gone.
    pub deleted: u64,
    /// Of these, files with another content.
    pub replaced: u64,
    /// Of the replaced ones, those whose content may be the same after all.
    pub doubtful: u64,
    /// Files that are new.
    pub added: u64,
    /// Files and bytes to send, at most.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// Bytes of all contents of the tree.
    pub total: u64,
    /// All lines of the list, but for bundled entries that are as they were.
    pub lines: u64,
    /// Entries in the bundle, by reason.
    pub bundled: Vec<(Reason, Named)>,
    /// Bytes of their contents.
    pub bundle_bytes: u64,
    /// True if the bundle has to be written anew.
    pub bundle_changes: bool,
    /// Entries with names for the bundle that are too large for it. They are in no copy.
    pub left_out: Named,
}

impl Summary {
    /// True if the mirror is as the tree.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    fn bundled(&mut self, reason: Reason, path: &[u8]) {
        let list = self.bundled.iter_mut().find(|(known, _)| *known == reason);
        match list {
            Some((_, named)) => named.push(shown(path)),
            None => {
                let mut named = Named::default();
                named.push(shown(path));
                self.bundled.push((reason, named));
            }
        }
    }
}

/// Limits of the bundle.
#[derive(Debug, Clone, Copy)]
pub struct BundleLimit {
    /// The largest sum of contents.
    pub bytes: u64,
}

/// The comparison in progress.
pub struct Diff<'a, W> {
    before: Before<'a>,
    next: Option<Known>,
    began: bool,
    fits: Fits,
    limit: BundleLimit,
    out: W,
    summary: Summary,
}

impl<'a, W: Write> Diff<'a, W> {
    /// Compares a tree with `before`, and writes the list of changes to `out`.
    pub fn new(before: Before<'a>, fits: Fits, limit: BundleLimit, out: W) -> Self {
        Self {
            before,
            next: None,
            began: false,
            fits,
            limit,
            out,
            summary: Summary::default(),
        }
    }

    fn advance(&mut self) -> Result<(), Failure> {
        self.began = true;
        self.next = (self.before)()?;
        if let Some(known) = &self.next
            && (has_content(known.record.letter) || known.record.letter == 'h')
        {
            self.summary.mirrored += 1;
        }
        Ok(())
    }

    /// Takes the next entry of the tree.
    ///
    /// # Errors
    /// When the manifest cannot be read, or the list cannot be written.
    pub fn see(&mut self, record: Record) -> Result<(), Failure> {
        if !self.began {
            self.advance()?;
        }
        let old = self.old(&record.path)?;
        let reason = self.fits.reason(&record.path, record.letter);
        self.summary.total = self.summary.total.saturating_add(record.size);
        match reason.filter(|_| has_content(record.letter)) {
            Some(reason) => self.bundle(reason, record, old.as_ref()),
            None => self.judge(record, old.as_ref()),
        }
    }

    /// The manifest's entry for a path. Entries before that path are gone.
    fn old(&mut self, path: &[u8]) -> Result<Option<Known>, Failure> {
        loop {
            let order = match &self.next {
                None => return Ok(None),
                Some(known) => compare(&known.record.path, path),
            };
            match order {
                Ordering::Greater => return Ok(None),
                Ordering::Equal => {
                    let found = self.next.take();
                    self.advance()?;
                    return Ok(found);
                }
                Ordering::Less => {
                    if let Some(gone) = self.next.take() {
                        self.gone(gone)?;
                    }
                    self.advance()?;
                }
            }
        }
    }

    fn gone(&mut self, gone: Known) -> Result<(), Failure> {
        if has_content(gone.record.letter) || gone.record.letter == 'h' {
            self.summary.deleted += 1;
        }
        self.summary.bundle_changes |= gone.bundled;
        let replaces = gone.is_stored();
        self.write(Work::Gone, replaces, gone.record)
    }

    /// An entry that the remote cannot hold.
    fn bundle(
        &mut self,
        reason: Reason,
        mut record: Record,
        old: Option<&Known>,
    ) -> Result<(), Failure> {
        let grown = self.summary.bundle_bytes.saturating_add(record.size);
        if grown > self.limit.bytes {
            self.summary.left_out.push(shown(&record.path));
            // The manifest tells no content that is nowhere.
            return match old {
                Some(known) => self.gone(known.clone()),
                None => Ok(()),
            };
        }
        self.summary.bundle_bytes = grown;
        self.summary.bundled(reason, &record.path);
        let same = old.is_some_and(|known| known.bundled && is_as_before(&record, &known.record));
        if same {
            record.content = old.and_then(|known| known.record.content);
            let replaces = old.is_some_and(Known::is_stored);
            return self.line(Work::Bundle, replaces, record);
        }
        self.summary.bundle_changes = true;
        self.count(old);
        let replaces = old.is_some_and(Known::is_stored);
        self.write(Work::Bundle, replaces, record)
    }

    fn judge(&mut self, mut record: Record, old: Option<&Known>) -> Result<(), Failure> {
        let replaces = old.is_some_and(Known::is_stored);
        self.summary.bundle_changes |= old.is_some_and(|known| known.bundled);
        let stored = old
            .filter(|known| known.is_stored())
            .map(|known| &known.record);
        let work = match (record.letter, stored) {
            ('f' | 's', Some(before)) if matches!(before.letter, 'f' | 's') => {
                let same_size = before.size == record.size;
                match (same_size, before.content) {
                    // Adopted from a listing: only the size and the time are known.
                    (true, None) if is_about(before.modified, record.modified) => {
                        record.hash.clone_from(&before.hash);
                        Work::Hash
                    }
                    (true, Some(digest)) if before.modified == record.modified => {
                        record.content = Some(digest);
                        record.hash.clone_from(&before.hash);
                        Work::Describe
                    }
                    (true, Some(digest)) => {
                        record.content = Some(digest);
                        Work::Compare
                    }
                    _ => Work::Send,
                }
            }
            ('l', Some(before)) if before.letter == 'l' && before.target == record.target => {
                Work::Describe
            }
            ('f' | 's' | 'l', _) => Work::Send,
            _ => Work::Describe,
        };
        match work {
            Work::Describe => {
                if old.is_some_and(|known| !known.bundled && is_equal(&record, &known.record)) {
                    return Ok(());
                }
                // A further name of a file is one more file in the copy.
                match (record.letter, old.map(|known| known.record.letter)) {
                    ('h', None | Some('d' | 'p')) => self.summary.added += 1,
                    ('d' | 'p', Some('f' | 's' | 'l' | 'h')) => self.summary.deleted += 1,
                    _ => {}
                }
            }
            Work::Send | Work::Compare => {
                self.summary.files += 1;
                self.summary.bytes = self.summary.bytes.saturating_add(record.size);
                self.summary.doubtful += u64::from(work == Work::Compare);
                self.count(old);
            }
            _ => {}
        }
        self.write(work, replaces, record)
    }

    fn count(&mut self, old: Option<&Known>) {
        match old.map(|known| known.record.letter) {
            Some('f' | 's' | 'l' | 'h') => self.summary.replaced += 1,
            _ => self.summary.added += 1,
        }
    }

    fn write(&mut self, work: Work, replaces: bool, record: Record) -> Result<(), Failure> {
        self.summary.lines += 1;
        self.line(work, replaces, record)
    }

    fn line(&mut self, work: Work, replaces: bool, record: Record) -> Result<(), Failure> {
        Item::new(work, replaces, record)
            .write(&mut self.out)
            .map_err(Failure::io("writing the list of changes"))
    }

    /// The rest of the manifest is gone.
    ///
    /// # Errors
    /// As [`Self::see`].
    pub fn finish(mut self) -> Result<Summary, Failure> {
        if !self.began {
            self.advance()?;
        }
        while let Some(gone) = self.next.take() {
            self.gone(gone)?;
            self.advance()?;
        }
        self.out
            .flush()
            .map_err(Failure::io("writing the list of changes"))?;
        Ok(self.summary)
    }
}

/// True if size and time are the same.
fn is_as_before(record: &Record, before: &Record) -> bool {
    let mut with = record.clone();
    with.content = before.content;
    with.hash.clone_from(&before.hash);
    let is_known = before.content.is_some() || before.letter == 'l';
    is_known && is_equal(&with, before)
}

fn is_equal(record: &Record, before: &Record) -> bool {
    record.differs(before).is_none()
}

/// True if a remote may show `shown` for a file of this time. Remotes keep whole seconds, or thousandths or millionths.
pub(crate) fn is_about(shown: Moment, time: Moment) -> bool {
    let at = |moment: Moment| {
        i128::from(moment.seconds) * 1_000_000_000 + i128::from(moment.nanoseconds)
    };
    let grain = match shown.nanoseconds {
        0 => 1_000_000_000,
        nanoseconds if nanoseconds % 1_000_000 == 0 => 1_000_000,
        nanoseconds if nanoseconds % 1000 == 0 => 1000,
        _ => 1,
    };
    (at(shown) - at(time)).abs() < grain
}
