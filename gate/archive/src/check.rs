//! An archive against its manifest: every entry, every byte.
//!
//! Both are read once, side by side, in the same order. Where they differ, a bounded number of lines is remembered
//! until they meet again. So missing and additional entries can be told from different ones.
//!
//! Invariant: an archive passes only if each entry was found with the digest that was noted when it was packed,
//! nothing is missing or extra, and the compressed bytes are those that were written.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use super::Watch;
pub use super::compare::{Comparison, Differences, Report};
use super::entry::{Entry, Kind};
use super::input::Input;
use base::error::Failure;

/// Looks at files while their content passes by.
pub trait Inspector {
    /// A file that is to receive a copy of this one, of which the first bytes are given; none for most.
    ///
    /// # Errors
    /// End the check.
    fn wants(&mut self, entry: &Entry, head: &[u8]) -> Result<Option<File>, Failure>;

    /// The copy is complete.
    ///
    /// # Errors
    /// End the check.
    fn received(&mut self, entry: &Entry, copy: File) -> Result<(), Failure>;
}

/// Looks at nothing.
impl Inspector for () {
    fn wants(&mut self, _: &Entry, _: &[u8]) -> Result<Option<File>, Failure> {
        Ok(None)
    }

    fn received(&mut self, _: &Entry, _: File) -> Result<(), Failure> {
        Ok(())
    }
}

/// Reads a whole `.tar.gz`, and compares it with its manifest if there is one.
///
/// # Errors
/// When either is damaged or cannot be read, or `watch` says so. That they differ is in the report.
pub fn check<A: Read>(
    mut archive: A,
    mut comparison: Option<Comparison<'_>>,
    inspector: &mut dyn Inspector,
    watch: Watch<'_>,
) -> Result<Report, Failure> {
    let mut input = Input::new(&mut archive);
    while let Some(entry) = input.next(watch)? {
        let mut copy = None;
        let content = input.content(watch, &mut |piece| {
            if piece.offset == 0 {
                copy = inspector.wants(&entry, piece.bytes)?;
            }
            if let Some(copy) = &copy {
                copy.write_all_at(piece.bytes, piece.offset)
                    .map_err(Failure::io("copying a file out of the archive"))?;
            }
            Ok(())
        })?;
        if let Some(copy) = copy {
            if let Kind::Sparse { size, .. } = entry.kind {
                copy.set_len(size)
                    .map_err(Failure::io("copying a file out of the archive"))?;
            }
            inspector.received(&entry, copy)?;
        }
        input.saw(&entry, content, comparison.as_mut())?;
    }
    input.finish(comparison)
}
