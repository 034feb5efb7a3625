//! A delta: the difference of one night to the night before.
//!
//! ```text
//! backupctl-delta 1 SUBJECT.mirror
//! mirror GGGGGG.NNNN OWNER AS-OF VERSIONS
//! LETTER MODE … PATH [FIELD=VALUE]…        an entry that is new, or replaces the one of its path
//! gone PATH                                an entry that is no more
//! end ENTRIES GONE BYTES SHA256            the digest of all lines before
//! ```
//!
//! Invariant: a delta has one spelling; its paths are in order, and each comes once.

use std::io::{self, Read, Write};

use archive::manifest::{escape, unescape};
use base::error::Failure;

use crate::entry::{Entry, is_plain};
use crate::heading::Heading;
use crate::lines::{Input, Next, Output, refused, wrong};
use crate::manifest::{InOrder, Totals, begin};

/// One line.
#[expect(clippy::large_enum_variant, reason = "one at a time is in memory")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry is new, or replaces the one of its path.
    Put(Entry),
    /// The entry of this path is no more.
    Gone(Vec<u8>),
}

impl Change {
    /// The path of the entry.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Put(entry) => &entry.record.path,
            Self::Gone(path) => path,
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Put(entry) => entry.line(),
            Self::Gone(path) => format!("gone {}", escape(path)),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::Put(entry) => entry.is_valid(),
            Self::Gone(path) => is_plain(path),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let change = match line.strip_prefix("gone ") {
            Some(path) => Self::Gone(unescape(path)?),
            None => Self::Put(Entry::parse(line)?),
        };
        // One spelling, and so one escape.
        (change.is_valid() && change.line() == line).then_some(change)
    }
}

/// The last line of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Entries that are new or replace others, and the sizes of their files.
    pub put: Totals,
    /// Entries that are no more.
    pub gone: u64,
}

impl Counts {
    fn add(&mut self, change: &Change) {
        match change {
            Change::Put(entry) => self.put.add(entry),
            Change::Gone(_) => self.gone += 1,
        }
    }

    fn words(self) -> String {
        format!("{} {} {}", self.put.entries, self.gone, self.put.bytes)
    }
}

/// A delta in the making.
pub struct DeltaWriter<W: Write> {
    out: Output<W>,
    order: InOrder,
    counts: Counts,
}

impl<W: Write> DeltaWriter<W> {
    /// Writes the first two lines.
    ///
    /// # Errors
    /// Those of the writer; `InvalidInput` for the heading of a full manifest.
    pub fn new(out: W, heading: &Heading) -> io::Result<Self> {
        if !heading.is_valid() || heading.number.is_full() {
            return Err(refused("not the heading of a delta"));
        }
        let mut out = Output::new(out);
        for line in heading.lines() {
            out.line(line)?;
        }
        Ok(Self {
            out,
            order: InOrder::default(),
            counts: Counts::default(),
        })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Those of the writer; `InvalidInput` for a line that is out of order or that no delta can hold.
    pub fn change(&mut self, change: &Change) -> io::Result<()> {
        if !change.is_valid() || !self.order.follows(change.path()) {
            return Err(refused(format!(
                "no line of a delta, or out of order: {}",
                change.line()
            )));
        }
        self.counts.add(change);
        self.out.line(change.line())
    }

    /// Writes the last line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<(W, Counts)> {
        Ok((self.out.finish(&self.counts.words())?, self.counts))
    }
}

/// A delta, line by line.
pub struct DeltaReader<'a> {
    input: Input<'a>,
    heading: Heading,
    order: InOrder,
    seen: Counts,
    ended: bool,
}

impl<'a> DeltaReader<'a> {
    /// Reads the first two lines.
    ///
    /// # Errors
    /// When they are not those of a delta.
    pub fn new(input: impl Read + 'a) -> Result<Self, Failure> {
        let (input, heading) = begin(input)?;
        if heading.number.is_full() {
            return Err(wrong("it is a full manifest where a delta belongs"));
        }
        Ok(Self {
            input,
            heading,
            order: InOrder::default(),
            seen: Counts::default(),
            ended: false,
        })
    }

    /// The first two lines.
    #[must_use]
    pub fn heading(&self) -> &Heading {
        &self.heading
    }

    /// The counts, once the end was reached.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        self.ended.then_some(self.seen)
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// A line is malformed or out of order, or the last one is missing or does not fit.
    pub fn change(&mut self) -> Result<Option<Change>, Failure> {
        if self.ended {
            return Ok(None);
        }
        match self.input.next()? {
            Next::Line(line) => {
                let change = Change::parse(line)
                    .ok_or_else(|| wrong(format!("this line is not one: {line:.200}")))?;
                if !self.order.follows(change.path()) {
                    return Err(wrong("the lines of a delta are not in order"));
                }
                self.seen.add(&change);
                Ok(Some(change))
            }
            Next::End(words) if words == self.seen.words() => {
                self.ended = true;
                Ok(None)
            }
            Next::End(_) => Err(wrong("its last line does not fit its entries")),
        }
    }
}
