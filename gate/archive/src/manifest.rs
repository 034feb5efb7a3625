//! The content of an archive, line by line, stored beside it.
//!
//! ```text
//! backupctl-manifest 2 SERVICE-YYYY-MM-DD.tar.gz
//! LETTER MODE UID GID MODIFIED SIZE SHA256 PATH [FIELD=VALUE]…     one line an entry, in their order
//! member OFFSET AT                                                 one line a gzip member
//! end ENTRIES BYTES ARCHIVE-BYTES ARCHIVE-SHA256
//! ```
//!
//! `GRAMMAR.md` describes each field, and version 1, which is read and no longer written. The whole is compressed with
//! gzip.
//!
//! Invariant: a manifest has one spelling. Members are in order, and the first begins where the archive does.

mod record;
mod version;

use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

pub use record::{NotedAttributes, Record, RemoteHash, escape, unescape};
pub use version::Version;

use super::digest::Digest;
use super::unreadable;
use base::error::Failure;

/// The longest path, target and attributes fit, with every byte escaped.
const MAX_LINE: u64 = 4 << 20;

fn wrong(what: impl fmt::Display) -> Failure {
    Failure::Verification(format!("the manifest is damaged: {what}"))
}

/// The beginning of one gzip member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// In the compressed file.
    pub offset: u64,
    /// In the uncompressed archive.
    pub at: u64,
}

/// One line between the first and the last.
#[expect(clippy::large_enum_variant, reason = "one at a time is in memory")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An entry.
    Entry(Record),
    /// A gzip member; they come after all entries.
    Member(Member),
}

/// The last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries of all kinds.
    pub entries: u64,
    /// Content as it stands in the archive.
    pub bytes: u64,
    /// The size of the `.tar.gz`.
    pub archive_bytes: u64,
    /// Its digest.
    pub archive: Digest,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "end {} {} {} {}",
            self.entries, self.bytes, self.archive_bytes, self.archive
        )
    }
}

/// A manifest in the making.
pub struct Writer<W: Write>(GzEncoder<BufWriter<W>>, Version);

impl<W: Write> Writer<W> {
    /// Writes the first line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(out: W, archive: &str) -> io::Result<Self> {
        Self::of_version(out, archive, Version::Two)
    }

    /// Writes the first line of a manifest of this version.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn of_version(out: W, archive: &str, version: Version) -> io::Result<Self> {
        let mut out = GzEncoder::new(BufWriter::new(out), Compression::new(6));
        writeln!(out, "{}{archive}", version.first())?;
        Ok(Self(out, version))
    }

    /// Writes the line of an entry.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn record(&mut self, record: &Record) -> io::Result<()> {
        writeln!(self.0, "{}", record.line(self.1))
    }

    /// Writes the line of a gzip member.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn member(&mut self, Member { offset, at }: Member) -> io::Result<()> {
        writeln!(self.0, "member {offset} {at}")
    }

    /// Writes the last line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self, totals: &Totals) -> io::Result<()> {
        writeln!(self.0, "{totals}")?;
        self.0.finish()?.flush()
    }
}

/// A manifest, line by line. Its code is there once for all sources.
pub struct Reader<'a> {
    input: BufReader<MultiGzDecoder<BufReader<Box<dyn Read + 'a>>>>,
    archive: String,
    version: Version,
    last_member: Option<Member>,
    totals: Option<Totals>,
}

impl<'a> Reader<'a> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When it is none of a manifest that this version knows.
    pub fn new(input: impl Read + 'a) -> Result<Self, Failure> {
        let input: Box<dyn Read + 'a> = Box::new(input);
        let mut reader = Self {
            input: BufReader::new(MultiGzDecoder::new(BufReader::new(input))),
            archive: String::new(),
            version: Version::Two,
            last_member: None,
            totals: None,
        };
        let first = reader.line()?.unwrap_or_default();
        for version in Version::ALL {
            if let Some(archive) = first.strip_prefix(version.first()) {
                reader.version = version;
                reader.archive = archive.to_owned();
                return Ok(reader);
            }
        }
        Err(wrong(
            "its first line is not that of a manifest of version 1 or 2; if a newer gate wrote it, use that",
        ))
    }

    /// Its format.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The name of the archive that it was written for.
    #[must_use]
    pub fn archive(&self) -> &str {
        &self.archive
    }

    /// The last line, once [`record`](Self::record) has come to it.
    #[must_use]
    pub fn totals(&self) -> Option<Totals> {
        self.totals
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// A line is malformed, or the last one is missing.
    pub fn record(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            match self.next_line()? {
                Some(Line::Entry(record)) => return Ok(Some(record)),
                Some(Line::Member(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next record or member; `None` at the end.
    ///
    /// # Errors
    /// A line is malformed, or the last one is missing.
    pub fn next_line(&mut self) -> Result<Option<Line>, Failure> {
        if self.totals.is_some() {
            return Ok(None);
        }
        let Some(line) = self.line()? else {
            return Err(wrong("its last line is missing"));
        };
        if let Some(rest) = line.strip_prefix("end ") {
            let fields: Vec<&str> = rest.split(' ').collect();
            let parse = || match fields.as_slice() {
                [entries, bytes, archive_bytes, archive] => Some(Totals {
                    entries: entries.parse().ok()?,
                    bytes: bytes.parse().ok()?,
                    archive_bytes: archive_bytes.parse().ok()?,
                    archive: Digest::parse(archive.as_bytes())?,
                }),
                _ => None,
            };
            // One spelling here, too.
            let totals = parse().filter(|totals| totals.to_string() == line);
            self.totals = Some(totals.ok_or_else(|| wrong("its last line is not one"))?);
            if self.line()?.is_some() {
                return Err(wrong("something stands behind its last line"));
            }
            return Ok(None);
        }
        let short = || wrong(format!("this line is not one: {:.200}", line));
        if self.version == Version::Two
            && let Some(rest) = line.strip_prefix("member ")
        {
            let member = member(rest).ok_or_else(short)?;
            let follows = self
                .last_member
                .map_or(member.offset == 0 && member.at == 0, |last| {
                    member.offset > last.offset && member.at > last.at
                });
            if !follows {
                return Err(wrong("its gzip members are not in order"));
            }
            self.last_member = Some(member);
            return Ok(Some(Line::Member(member)));
        }
        if self.last_member.is_some() {
            return Err(wrong("an entry stands behind the gzip members"));
        }
        Record::parse(&line, self.version)
            .map(|record| Some(Line::Entry(record)))
            .ok_or_else(short)
    }

    fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = Vec::new();
        (&mut self.input)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(unreadable("the manifest"))?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => String::from_utf8(line)
                .map(Some)
                .map_err(|_| wrong("a line is not ASCII")),
            Some(_) => Err(wrong("a line has no end")),
        }
    }
}

fn member(text: &str) -> Option<Member> {
    let (offset, at) = text.split_once(' ')?;
    let member = Member {
        offset: offset.parse().ok()?,
        at: at.parse().ok()?,
    };
    // One spelling here, too.
    (format!("{} {}", member.offset, member.at) == text).then_some(member)
}

#[cfg(test)]
mod tests;
