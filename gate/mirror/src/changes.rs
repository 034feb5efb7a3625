//! The list of what a sync has to do, in the order of all lists: a file of the gate's own between two of its steps.
//!
//! One line an entry: a letter for the work, `*` if the mirror holds a content under this path and `+` if not, the name of
//! its content in the incoming folder or `-`, and the entry's line as in a manifest.
//!
//! Invariant: a line is read as it was written, or the list is refused.

use std::io::{self, BufRead, Write};

use archive::manifest::{Record, Version};
use base::error::Failure;

use crate::names::IncomingName;

/// The work for one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Its content is to be uploaded.
    Send,
    /// Its size is as before and its time is not: its content is to be uploaded if the digest is another one. Until
    /// then the record holds the digest of before.
    Compare,
    /// The remote has its content, and the digest is not known yet.
    Hash,
    /// Only its description has changed.
    Describe,
    /// It is in the bundle.
    Bundle,
    /// It is gone. The record is that of before.
    Gone,
}

impl Work {
    const ALL: [(Self, char); 6] = [
        (Self::Send, 'U'),
        (Self::Compare, 'C'),
        (Self::Hash, 'H'),
        (Self::Describe, 'D'),
        (Self::Bundle, 'B'),
        (Self::Gone, 'G'),
    ];

    fn letter(self) -> char {
        Self::ALL
            .iter()
            .find(|(work, _)| *work == self)
            .map_or('?', |(_, letter)| *letter)
    }

    fn parse(letter: char) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == letter);
        found.map(|(work, _)| *work)
    }
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The work.
    pub work: Work,
    /// True if the mirror holds a content of its own under this path.
    pub replaces: bool,
    /// The name of its content in the incoming folder, once the content is hashed.
    pub incoming: Option<IncomingName>,
    /// The entry.
    pub record: Record,
}

impl Item {
    /// An entry with a content that is not hashed, or without one.
    #[must_use]
    pub fn new(work: Work, replaces: bool, record: Record) -> Self {
        Self {
            work,
            replaces,
            incoming: None,
            record,
        }
    }

    /// Writes its line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let sign = if self.replaces { '*' } else { '+' };
        let line = self.record.line(Version::Two);
        let incoming = self.incoming.as_ref().map_or("-", IncomingName::as_str);
        writeln!(out, "{}{sign} {incoming} {line}", self.work.letter())
    }

    fn parse(line: &str) -> Option<Self> {
        let mut letters = line.chars();
        let work = Work::parse(letters.next()?)?;
        let replaces = match letters.next()? {
            '*' => true,
            '+' => false,
            _ => return None,
        };
        let (incoming, line) = letters.as_str().strip_prefix(' ')?.split_once(' ')?;
        let incoming = match incoming {
            "-" => None,
            name => Some(IncomingName::parse(name)?),
        };
        Some(Self {
            work,
            replaces,
            incoming,
            record: Record::parse(line, Version::Two)?,
        })
    }
}

/// Reads the list.
#[derive(Debug)]
pub struct ItemReader<R> {
    input: R,
    /// Bytes of the list that were read.
    pub at: u64,
}

impl<R: BufRead> ItemReader<R> {
    /// Begins at the place that `input` stands at, which is `at` bytes behind the beginning of the list.
    #[must_use]
    pub fn new(input: R, at: u64) -> Self {
        Self { input, at }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// When a line is none of a list, or the file cannot be read.
    pub fn item(&mut self) -> Result<Option<Item>, Failure> {
        let mut line = String::new();
        let read = self
            .input
            .read_line(&mut line)
            .map_err(Failure::io("reading the list of changes"))?;
        if read == 0 {
            return Ok(None);
        }
        self.at += read as u64;
        line.strip_suffix('\n')
            .and_then(Item::parse)
            .map(Some)
            .ok_or_else(|| Failure::Verification("the list of changes is damaged".to_owned()))
    }
}
