//! A full manifest of a mirror: every entry of one night.
//!
//! ```text
//! backupctl-manifest 2 SUBJECT.mirror
//! mirror GGGGGG OWNER AS-OF
//! LETTER MODE UID GID MODIFIED SIZE SHA256 PATH [FIELD=VALUE]…     one line an entry, in the order of `order`
//! end ENTRIES BYTES 0 SHA256                                       the digest of all lines before
//! ```
//!
//! Invariant: a manifest has one spelling; its entries are in order, and none names a place in the incoming folder.

use std::cmp::Ordering;
use std::io::{self, Read, Write};

use base::error::Failure;

use crate::entry::{Entry, Stored};
use crate::heading::Heading;
use crate::lines::{Input, Next, Output, refused, wrong};
use crate::order::compare;

/// The last line of a full manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Entries of all kinds.
    pub entries: u64,
    /// The sizes of all files, with their holes.
    pub bytes: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.bytes());
    }

    fn words(self) -> String {
        format!("{} {} 0", self.entries, self.bytes)
    }
}

/// Remembers the last path, and tells whether the next one follows.
#[derive(Default)]
pub(crate) struct InOrder(Vec<u8>);

impl InOrder {
    pub(crate) fn follows(&mut self, path: &[u8]) -> bool {
        let follows = self.0.is_empty() || compare(&self.0, path) == Ordering::Less;
        self.0.clear();
        self.0.extend_from_slice(path);
        follows
    }
}

/// A full manifest in the making.
pub struct ManifestWriter<W: Write> {
    out: Output<W>,
    order: InOrder,
    totals: Totals,
}

impl<W: Write> ManifestWriter<W> {
    /// Writes the first two lines.
    ///
    /// # Errors
    /// Those of the writer; `InvalidInput` for the heading of a delta.
    pub fn new(out: W, heading: &Heading) -> io::Result<Self> {
        if !heading.is_valid() || !heading.number.is_full() {
            return Err(refused("not the heading of a full manifest"));
        }
        let mut out = Output::new(out);
        for line in heading.lines() {
            out.line(line)?;
        }
        Ok(Self {
            out,
            order: InOrder::default(),
            totals: Totals::default(),
        })
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// Those of the writer; `InvalidInput` for an entry that is out of order or that no full manifest can hold.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let fits = entry.is_valid() && !matches!(entry.stored, Stored::Incoming(_));
        if !fits || !self.order.follows(&entry.record.path) {
            return Err(refused(format!(
                "no entry of a manifest, or out of order: {}",
                entry.line()
            )));
        }
        self.totals.add(entry);
        self.out.line(entry.line())
    }

    /// Writes the last line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<(W, Totals)> {
        Ok((self.out.finish(&self.totals.words())?, self.totals))
    }
}

/// A full manifest, entry by entry.
pub struct ManifestReader<'a> {
    input: Input<'a>,
    heading: Heading,
    order: InOrder,
    seen: Totals,
    ended: bool,
}

impl<'a> ManifestReader<'a> {
    /// Reads the first two lines.
    ///
    /// # Errors
    /// When they are not those of a full manifest.
    pub fn new(input: impl Read + 'a) -> Result<Self, Failure> {
        let (input, heading) = begin(input)?;
        if !heading.number.is_full() {
            return Err(wrong("it is a delta where a full manifest belongs"));
        }
        Ok(Self {
            input,
            heading,
            order: InOrder::default(),
            seen: Totals::default(),
            ended: false,
        })
    }

    /// The first two lines.
    #[must_use]
    pub fn heading(&self) -> &Heading {
        &self.heading
    }

    /// The totals, once the end was reached.
    #[must_use]
    pub fn totals(&self) -> Option<Totals> {
        self.ended.then_some(self.seen)
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// A line is malformed or out of order, or the last one is missing or does not fit.
    pub fn entry(&mut self) -> Result<Option<Entry>, Failure> {
        if self.ended {
            return Ok(None);
        }
        match self.input.next()? {
            Next::Line(line) => {
                let entry = Entry::parse(line)
                    .filter(|entry| !matches!(entry.stored, Stored::Incoming(_)))
                    .ok_or_else(|| wrong(format!("this line is not one: {line:.200}")))?;
                if !self.order.follows(&entry.record.path) {
                    return Err(wrong("its entries are not in order"));
                }
                self.seen.add(&entry);
                Ok(Some(entry))
            }
            Next::End(words) if words == self.seen.words() => {
                self.ended = true;
                Ok(None)
            }
            Next::End(_) => Err(wrong("its last line does not fit its entries")),
        }
    }
}

/// Reads the first two lines of a manifest or a delta.
pub(crate) fn begin<'a>(input: impl Read + 'a) -> Result<(Input<'a>, Heading), Failure> {
    let mut input = Input::new(input);
    let first = input.expect()?.to_owned();
    let heading = Heading::read(&first, input.expect()?)?;
    Ok((input, heading))
}
