//! Entries → a tar archive: ustar, and before it a PAX header where ustar cannot say it.
//!
//! Owners are numbers: their names would mean others on the host that the archive is restored on.
//!
//! Invariant: the bytes of content equal the number in the header, padded to whole blocks.

use std::io::{self, Write};

use super::acl;
use super::entry::{Entry, Kind};
use super::pax::{Records, escape};
use super::ustar::{BLOCK, Header, MAX_ID, MAX_LONG, link_fits, path_fits};

/// A tar archive in the making.
pub(super) struct TarWriter<W> {
    out: W,
    /// Bytes that the last header promised and that are still missing.
    left: u64,
    padding: usize,
    /// Bytes of the archive so far.
    written: u64,
}

impl<W: Write> TarWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            left: 0,
            padding: 0,
            written: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes the headers of an entry, and returns the offset at which they begin; its content comes next, if it has
    /// any.
    pub(super) fn entry(&mut self, entry: &Entry) -> io::Result<u64> {
        debug_assert_eq!(self.left, 0, "the entry before is not complete");
        let began = self.written;
        let header = header(entry);
        let records = records(entry, &header);
        if !records.bytes().is_empty() {
            let size = records.bytes().len() as u64;
            let before = Header {
                path: b"PaxHeaders/data".to_vec(),
                mode: 0o644,
                size,
                letter: b'x',
                ..Header::default()
            };
            self.put(&before.encode())?;
            self.expect(size);
            self.content(records.bytes())?;
        }
        self.put(&header.encode())?;
        self.expect(header.size);
        Ok(began)
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        self.padding = (BLOCK - over) % BLOCK;
    }

    /// Writes content; more than was promised is an error.
    pub(super) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("more content than the header promised"))?;
        self.put(bytes)?;
        if self.left == 0 {
            let zeros = [0; BLOCK];
            self.put(zeros.get(..self.padding).unwrap_or_default())?;
            self.padding = 0;
        }
        Ok(())
    }

    /// Writes the end of the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}

fn header(entry: &Entry) -> Header {
    let (letter, link) = match &entry.kind {
        Kind::File { .. } | Kind::Sparse { .. } => (b'0', &[][..]),
        Kind::HardLink { target } => (b'1', target.as_slice()),
        Kind::Symlink { target } => (b'2', target.as_slice()),
        Kind::Directory => (b'5', &[][..]),
        Kind::Fifo => (b'6', &[][..]),
        Kind::Other { letter, .. } => (*letter, &[][..]),
    };
    let mut path = entry.path.clone();
    match entry.kind {
        Kind::Directory => path.push(b'/'),
        Kind::Sparse { .. } => {
            // A reader that does not know the map sees a strange name instead of a strange file.
            let at = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
            path.splice(at..at, *b"GNUSparseFile.0/");
        }
        _ => {}
    }
    Header {
        path,
        mode: entry.mode,
        uid: u64::from(entry.uid.min(MAX_ID)),
        gid: u64::from(entry.gid.min(MAX_ID)),
        size: match entry.kind {
            Kind::File { size } => size.min(MAX_LONG),
            // See `ustar`: this value may be too large for octal digits.
            _ => entry.kind.stored(),
        },
        modified: entry.modified.seconds,
        letter,
        link: link.to_vec(),
    }
}

fn records(entry: &Entry, header: &Header) -> Records {
    let mut records = Records::default();
    // PAX values are UTF-8 unless this header declares them as bytes of the file system.
    let sparse = matches!(entry.kind, Kind::Sparse { .. });
    let foreign = |bytes: &[u8]| std::str::from_utf8(bytes).is_err();
    // A short name stands in the header as it is, where every reader takes it byte for byte.
    let path = sparse || !path_fits(&header.path);
    let link = !link_fits(&header.link);
    if (path && foreign(&entry.path)) || (link && foreign(&header.link)) {
        // GNU tar says that it does not know this word, and does the right thing all the same; bsdtar needs it.
        records.add(b"hdrcharset", b"BINARY");
    }
    if path && !sparse {
        records.add(b"path", &header.path);
    }
    if link {
        records.add(b"linkpath", &header.link);
    }
    let mut decimal = |key: &[u8], value: u64| records.add(key, value.to_string().as_bytes());
    if let Kind::File { size } = entry.kind
        && size > MAX_LONG
    {
        decimal(b"size", size);
    }
    if entry.uid > MAX_ID {
        decimal(b"uid", entry.uid.into());
    }
    if entry.gid > MAX_ID {
        decimal(b"gid", entry.gid.into());
    }
    let modified = entry.modified;
    let plain = u64::try_from(modified.seconds).is_ok_and(|seconds| seconds <= MAX_LONG);
    if modified.nanoseconds != 0 || !plain {
        records.add(b"mtime", modified.to_string().as_bytes());
    }
    for (name, value) in &entry.attributes.0 {
        let list = match name.as_slice() {
            acl::ACCESS => Some(&b"SCHILY.acl.access"[..]),
            acl::DEFAULT => Some(&b"SCHILY.acl.default"[..]),
            _ => None,
        };
        match (list, acl::to_text(value)) {
            (Some(key), Some(text)) => records.add(key, text.as_bytes()),
            (Some(_), None) => {}
            (None, _) => {
                let key = [&b"SCHILY.xattr."[..], &escape(name)].concat();
                records.add(&key, value);
            }
        }
    }
    if let Kind::Sparse { size, .. } = entry.kind {
        records.add(b"GNU.sparse.major", b"1");
        records.add(b"GNU.sparse.minor", b"0");
        records.add(b"GNU.sparse.name", &entry.path);
        records.add(b"GNU.sparse.realsize", size.to_string().as_bytes());
    }
    records
}
