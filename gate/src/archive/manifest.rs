//! What went into an archive, line by line, stored beside it.
//!
//!     backupctl-manifest 1 SERVICE-YYYY-MM-DD.tar.gz
//!     LETTER MODE UID GID MODIFIED SIZE SHA256 ATTRIBUTES PATH [TARGET]     one line an entry, in their order
//!     end ENTRIES BYTES ARCHIVE-BYTES ARCHIVE-SHA256
//!
//! `GRAMMAR.md` says what each field is. The whole is compressed with gzip.
//!
//! Invariant: a record has one spelling, and no byte of a name can end a field or a line.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::digest::Digest;
use super::entry::{Entry, Kind, Moment};
use super::unreadable;
use crate::error::Failure;

const FIRST: &str = "backupctl-manifest 1 ";

/// A path of the greatest depth and a target, all of whose bytes are escaped, is shorter.
const MAX_LINE: u64 = 1 << 20;

fn wrong(what: impl fmt::Display) -> Failure {
    Failure::Verification(format!("the manifest is damaged: {what}"))
}

/// What is known of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `d`, `f`, `s` (a file with holes), `l`, `h` (another name of a file), `p`.
    pub letter: char,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last written to.
    pub modified: Moment,
    /// Of a file, with its holes.
    pub size: u64,
    /// Of a file, as it stands in the archive.
    pub content: Option<Digest>,
    /// Of the attributes, if there are any.
    pub attributes: Option<Digest>,
    /// In the archive.
    pub path: Vec<u8>,
    /// Of a link.
    pub target: Option<Vec<u8>>,
}

impl Record {
    /// What is to be known of an entry whose content has this digest.
    #[must_use]
    pub fn of(entry: &Entry, content: Digest) -> Self {
        let (letter, size, target) = match &entry.kind {
            Kind::Directory => ('d', 0, None),
            Kind::File { size } => ('f', *size, None),
            Kind::Sparse { size, .. } => ('s', *size, None),
            Kind::Symlink { target } => ('l', 0, Some(target.clone())),
            Kind::HardLink { target } => ('h', 0, Some(target.clone())),
            Kind::Fifo => ('p', 0, None),
            Kind::Other { .. } => ('?', 0, None),
        };
        Self {
            letter,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            modified: entry.modified,
            size,
            content: matches!(letter, 'f' | 's').then_some(content),
            attributes: entry.attributes.digest(),
            path: entry.path.clone(),
            target,
        }
    }

    /// What is different in another record of the same path, in words; `None` where nothing is.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<String> {
        let differences: Vec<&str> = [
            ("kind", self.letter != other.letter),
            (
                "content",
                (self.size, self.content) != (other.size, other.content),
            ),
            ("target", self.target != other.target),
            ("owner", (self.uid, self.gid) != (other.uid, other.gid)),
            ("mode", self.mode != other.mode),
            ("time", self.modified != other.modified),
            ("attributes", self.attributes != other.attributes),
        ]
        .into_iter()
        .filter_map(|(word, different)| different.then_some(word))
        .collect();
        (!differences.is_empty()).then(|| differences.join(", "))
    }

    /// Its path, for messages.
    #[must_use]
    pub fn display(&self) -> std::path::Display<'_> {
        Path::new(OsStr::from_bytes(&self.path)).display()
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [
            letter,
            mode,
            uid,
            gid,
            modified,
            size,
            content,
            attributes,
            path,
            rest @ ..,
        ] = fields.as_slice()
        else {
            return None;
        };
        let digest = |text: &str| match text {
            "-" => Some(None),
            text => Digest::parse(text.as_bytes()).map(Some),
        };
        let record = Self {
            letter: letter.chars().next()?,
            mode: u32::from_str_radix(mode, 8).ok()?,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            modified: Moment::parse(modified.as_bytes())?,
            size: size.parse().ok()?,
            content: digest(content)?,
            attributes: digest(attributes)?,
            path: unescape(path)?,
            target: match rest {
                [] => None,
                [target] => Some(unescape(target)?),
                _ => return None,
            },
        };
        // One spelling: no other numbers, no other escapes.
        (record.to_string() == line).then_some(record)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = |digest: &Option<Digest>| digest.map_or("-".to_owned(), |d| d.to_string());
        write!(
            f,
            "{} {:04o} {} {} {} {} {} {} {}",
            self.letter,
            self.mode,
            self.uid,
            self.gid,
            self.modified,
            self.size,
            digest(&self.content),
            digest(&self.attributes),
            escape(&self.path)
        )?;
        match &self.target {
            Some(target) => write!(f, " {}", escape(target)),
            None => Ok(()),
        }
    }
}

/// Printable ASCII stands for itself, but for the space and the backslash; all else is `\xHH`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        if first == b'\\' {
            let digits = std::str::from_utf8(more.get(1..3)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = more.get(3..)?;
        } else {
            bytes.push(first);
        }
    }
    Some(bytes)
}

/// The last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
pub struct Writer<W: Write>(GzEncoder<BufWriter<W>>);

impl<W: Write> Writer<W> {
    /// Writes the first line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(out: W, archive: &str) -> io::Result<Self> {
        let mut out = GzEncoder::new(BufWriter::new(out), Compression::new(6));
        writeln!(out, "{FIRST}{archive}")?;
        Ok(Self(out))
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn record(&mut self, record: &Record) -> io::Result<()> {
        writeln!(self.0, "{record}")
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

/// A manifest, line by line.
pub struct Reader<R: Read> {
    input: BufReader<MultiGzDecoder<BufReader<R>>>,
    archive: String,
    totals: Option<Totals>,
}

impl<R: Read> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When it is none of a manifest that this version knows.
    pub fn new(input: R) -> Result<Self, Failure> {
        let mut reader = Self {
            input: BufReader::new(MultiGzDecoder::new(BufReader::new(input))),
            archive: String::new(),
            totals: None,
        };
        let first = reader.line()?;
        let archive = first.as_deref().and_then(|line| line.strip_prefix(FIRST));
        reader.archive = archive
            .ok_or_else(|| wrong("its first line is not that of a manifest of version 1"))?
            .to_owned();
        Ok(reader)
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
    /// When a line is not what it should be, or the last one is missing.
    pub fn record(&mut self) -> Result<Option<Record>, Failure> {
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
        let short = line.chars().take(200).collect::<String>();
        Record::parse(&line)
            .map(Some)
            .ok_or_else(|| wrong(format!("this line is not one: {short}")))
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

#[cfg(test)]
mod tests;
