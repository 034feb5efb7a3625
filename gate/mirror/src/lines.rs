//! Lines of ASCII, compressed with gzip; the last one holds the digest of all others.
//!
//! Invariant: a file that was cut off, or in which a byte differs, is never taken for an intact one.

use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use archive::digest::{Digest, Hasher};
use base::error::Failure;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// The longest path, target and attributes fit, with every byte escaped.
const MAX_LINE: u64 = 4 << 20;

/// A fault of a manifest or a delta.
pub(crate) fn wrong(what: impl fmt::Display) -> Failure {
    Failure::Verification(format!("the manifest of the mirror is damaged: {what}"))
}

/// A value that a writer was given and that no reader would take.
pub(crate) fn refused(what: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_string())
}

/// Writes lines.
pub(crate) struct Output<W: Write> {
    out: GzEncoder<BufWriter<W>>,
    hasher: Hasher,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out: GzEncoder::new(BufWriter::new(out), Compression::new(6)),
            hasher: Hasher::default(),
        }
    }

    pub(crate) fn line(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        self.hasher.update(line.as_bytes());
        self.out.write_all(line.as_bytes())
    }

    /// Writes the last line: these words, and the digest of all lines before.
    pub(crate) fn finish(mut self, words: &str) -> io::Result<W> {
        writeln!(self.out, "end {words} {}", self.hasher.finish())?;
        let buffered = self.out.finish()?;
        buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }
}

/// Reads lines. Its code is there once for all sources.
pub(crate) struct Input<'a> {
    input: BufReader<MultiGzDecoder<BufReader<Box<dyn Read + 'a>>>>,
    hasher: Hasher,
    line: Vec<u8>,
    ended: bool,
}

impl<'a> Input<'a> {
    pub(crate) fn new(input: impl Read + 'a) -> Self {
        let input: Box<dyn Read + 'a> = Box::new(input);
        Self {
            input: BufReader::new(MultiGzDecoder::new(BufReader::new(input))),
            hasher: Hasher::default(),
            line: Vec::new(),
            ended: false,
        }
    }

    /// The next line; `None` behind the last one.
    fn read(&mut self) -> Result<bool, Failure> {
        self.line.clear();
        (&mut self.input)
            .take(MAX_LINE)
            .read_until(b'\n', &mut self.line)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput => wrong(error),
                _ => Failure::io("reading the manifest of the mirror")(error),
            })?;
        match self.line.pop() {
            None => Ok(false),
            Some(b'\n') if self.line.is_ascii() => Ok(true),
            Some(b'\n') => Err(wrong("a line is not ASCII")),
            Some(_) => Err(wrong("a line has no end")),
        }
    }

    /// The next line, or the words of the last line once its digest was found to be right.
    pub(crate) fn next(&mut self) -> Result<Next<'_>, Failure> {
        if self.ended || !self.read()? {
            return Err(wrong("its last line is missing"));
        }
        let is_last = self.line.starts_with(b"end ");
        if !is_last {
            self.hasher.update(&self.line);
            self.hasher.update(b"\n");
            return text(&self.line).map(Next::Line);
        }
        self.ended = true;
        let last = text(&self.line)?.to_owned();
        if self.read()? {
            return Err(wrong("something stands behind its last line"));
        }
        let parsed = last
            .strip_prefix("end ")
            .and_then(|rest| rest.rsplit_once(' '))
            .and_then(|(words, digest)| Some((words, Digest::parse(digest.as_bytes())?)));
        let Some((words, digest)) = parsed else {
            return Err(wrong("its last line is not one"));
        };
        if digest != self.hasher.clone().finish() {
            return Err(wrong("its lines do not have the digest of its last line"));
        }
        Ok(Next::End(words.to_owned()))
    }

    /// The next line, which must not be the last one.
    pub(crate) fn expect(&mut self) -> Result<&str, Failure> {
        match self.next()? {
            Next::Line(line) => Ok(line),
            Next::End(_) => Err(wrong("its first two lines are missing")),
        }
    }
}

/// True if a file is whole: it ends with the digest of its lines. Their meaning is not looked at.
pub(crate) fn is_whole(file: impl Read) -> Result<bool, Failure> {
    let mut input = Input::new(file);
    loop {
        match input.next() {
            Ok(Next::Line(_)) => {}
            Ok(Next::End(_)) => return Ok(true),
            Err(Failure::Verification(_)) => return Ok(false),
            Err(failure) => return Err(failure),
        }
    }
}

/// A line, or the end.
pub(crate) enum Next<'l> {
    Line(&'l str),
    End(String),
}

fn text(line: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(line).map_err(|_| wrong("a line is not ASCII"))
}
