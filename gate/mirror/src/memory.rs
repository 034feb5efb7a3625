//! The entries of the last manifest in a file of this host, so that no sync has to read them from the remote.
//!
//! The file is a list of changes against nothing, compressed with gzip: see [`crate::changes`].
//!
//! Invariant: a file that ends early or is damaged is refused, and never taken for a smaller mirror.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};

use base::error::Failure;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::changes::{Item, ItemReader, Work};
use crate::diff::Known;
use crate::order::compare;

/// Reads the entries of a manifest.
pub struct Remembered(ItemReader<BufReader<MultiGzDecoder<BufReader<File>>>>);

impl Remembered {
    /// Begins at the first entry.
    #[must_use]
    pub fn new(file: File) -> Self {
        let unpacked = MultiGzDecoder::new(BufReader::new(file));
        Self(ItemReader::new(BufReader::new(unpacked), 0))
    }

    /// The next entry.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn entry(&mut self) -> Result<Option<Known>, Failure> {
        let item = self.0.item()?;
        Ok(item.map(|item| Known {
            bundled: item.work == Work::Bundle,
            record: item.record,
        }))
    }
}

/// Writes the entries of a manifest.
pub struct Memory(GzEncoder<BufWriter<File>>);

fn writing() -> impl FnOnce(std::io::Error) -> Failure {
    Failure::io("writing the state of the mirror")
}

impl Memory {
    /// Begins with the first entry.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(GzEncoder::new(BufWriter::new(file), Compression::new(1)))
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn add(&mut self, known: Known) -> Result<(), Failure> {
        let work = match known.bundled {
            true => Work::Bundle,
            false => Work::Describe,
        };
        Item::new(work, false, known.record)
            .write(&mut self.0)
            .map_err(writing())
    }

    /// Ends the file, and makes it last.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn finish(self) -> Result<(), Failure> {
        let mut out = self.0.finish().map_err(writing())?;
        out.flush().map_err(writing())?;
        out.get_ref().sync_all().map_err(writing())
    }
}

/// The entries of a manifest after a list of changes: passes each of them to `take`, in order.
///
/// # Errors
/// When a list cannot be read, or `take` ends it.
pub fn apply(
    before: &mut dyn FnMut() -> Result<Option<Known>, Failure>,
    changes: &mut dyn FnMut() -> Result<Option<Item>, Failure>,
    take: &mut dyn FnMut(Known) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut old = before()?;
    let mut new = changes()?;
    loop {
        let order = match (&old, &new) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(known), Some(item)) => compare(&known.record.path, &item.record.path),
        };
        if order == Ordering::Less {
            if let Some(known) = old.take() {
                take(known)?;
            }
            old = before()?;
            continue;
        }
        if order == Ordering::Equal {
            old = before()?;
        }
        if let Some(item) = new.take()
            && item.work != Work::Gone
        {
            take(Known {
                bundled: item.work == Work::Bundle,
                record: item.record,
            })?;
        }
        new = changes()?;
    }
}
