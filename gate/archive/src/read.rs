//! A tar archive → entries, one after the other.
//!
//! Reads the gate's archives, and those of GNU tar, bsdtar and Python. The archive comes from the remote and may be
//! anything.
//!
//! Invariant: memory is bounded for any archive; a header without its checksum is never taken for an entry; an archive
//! that ends early is an error.

use std::io::Read;

use super::before::{Before, kind};
use super::digest::{Digest, Hasher};
use super::entry::{Attributes, Entry, Kind, Moment, owner};
use super::gunzip::Gunzip;
use super::sparse::{Map, OldMap};
use super::ustar::{BLOCK, Header};
use super::{Watch, damaged, pax, unreadable};
use base::error::Failure;
use base::sort;

/// Longest name in a header of its own: a tree of the greatest depth with the longest names fits.
const MAX_NAME: u64 = 128 << 10;

/// Headers that go before an entry: PAX, and GNU's long name and long link.
const MAX_BEFORE: usize = 4;

/// Bytes of one read.
const CHUNK: usize = 256 << 10;

/// A stretch of a file's content, and where it belongs.
#[derive(Debug)]
pub struct Piece<'a> {
    /// Offset in the file.
    pub offset: u64,
    /// The bytes there. Parts without a piece are holes.
    pub bytes: &'a [u8],
}

/// The entries of an archive.
pub struct Entries<R> {
    input: R,
    /// Unread content of the last entry.
    left: u64,
    /// Behind that content.
    padding: u64,
    /// The size of the last entry, where that is a sparse file, and its map, where that does not stand in its content.
    sparse: Option<(u64, Option<Map>)>,
    /// Bytes of content read so far, for the caller that watches.
    passed: u64,
    /// Bytes of the archive read so far.
    position: u64,
    /// Offset of the last entry's headers.
    began: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Entries<Gunzip<R>> {
    /// Reads a `.tar.gz`.
    pub fn gunzip(input: R) -> Self {
        Self::new(Gunzip::new(input, CHUNK))
    }

    /// The source of the compressed bytes.
    pub fn into_source(self) -> Option<R> {
        self.input.into_inner()
    }
}

impl<R: Read> Entries<R> {
    /// Reads a tar archive.
    pub fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            padding: 0,
            sparse: None,
            passed: 0,
            position: 0,
            began: 0,
            buffer: vec![0; CHUNK],
        }
    }

    /// The next entry; `None` at the end of the archive, which was then read to the end of its file, so that every
    /// checksum of gzip has been compared.
    ///
    /// # Errors
    /// When the archive is damaged or cannot be read, or `watch` says so.
    pub fn next(&mut self, watch: Watch<'_>) -> Result<Option<Entry>, Failure> {
        self.content(watch, &mut |_| Ok(()))?;
        self.began = self.position;
        let mut before = Before::default();
        for _ in 0..=MAX_BEFORE {
            watch(self.passed)?;
            let mut block = [0; BLOCK];
            self.exactly(&mut block)?;
            let Some(header) = Header::decode(&block)? else {
                self.rest_is_empty(watch)?;
                return Ok(None);
            };
            match header.letter {
                b'x' => before.pax(&self.whole(header.size, pax::MAX_BYTES)?)?,
                // Of no use to the gate, which writes none.
                b'g' => drop(self.whole(header.size, pax::MAX_BYTES)?),
                // The label of a volume, as tar -V writes it.
                b'V' => self.discard(header.size)?,
                b'L' => before.path = Some(self.name(header.size)?),
                b'K' => before.link = Some(self.name(header.size)?),
                b'S' => {
                    before.old_map = Some(self.old_map(&block)?);
                    return self.entry(before, header).map(Some);
                }
                // A directory with a list of names, as tar -g writes it.
                b'D' => {
                    let size = before.size.unwrap_or(header.size);
                    self.discard(size)?;
                    let header = Header {
                        letter: b'5',
                        size: 0,
                        ..header
                    };
                    before.size = None;
                    return self.entry(before, header).map(Some);
                }
                _ => return self.entry(before, header).map(Some),
            }
        }
        Err(damaged("too many headers stand before an entry"))
    }

    /// The map of a sparse file in its header and the blocks behind that.
    fn old_map(&mut self, header: &[u8; BLOCK]) -> Result<OldMap, Failure> {
        let mut map = OldMap::begin(header)?;
        while map.continues {
            let mut block = [0; BLOCK];
            self.exactly(&mut block)?;
            map.go_on(&block)?;
        }
        Ok(map)
    }

    /// Passes over the content of a header, and its padding.
    fn discard(&mut self, size: u64) -> Result<(), Failure> {
        let size = size
            .checked_next_multiple_of(BLOCK as u64)
            .ok_or_else(|| damaged("a header is longer than any archive"))?;
        let passed = std::io::copy(&mut (&mut self.input).take(size), &mut std::io::sink())
            .map_err(unreadable("a header"))?;
        self.position += passed;
        if passed == size {
            return Ok(());
        }
        Err(damaged("it ends in a header"))
    }

    fn entry(&mut self, mut before: Before, header: Header) -> Result<Entry, Failure> {
        let stored = before.size.unwrap_or(header.size);
        let mapped = match (before.old_map.take(), before.sparse_size) {
            (Some(map), _) => Some(map.finish()?),
            (None, Some(size)) => Some((size, Map::of_pairs(&before.sparse_pairs, size)?)),
            (None, None) => None,
        };
        let mut path = before.path.take().unwrap_or(header.path);
        let link = before.link.take().unwrap_or(header.link);
        let kind = match (header.letter, &mapped) {
            (b'S' | 0 | b'0', Some((size, _))) => Kind::Sparse {
                size: *size,
                stored,
            },
            (letter, _) => kind(letter, stored, &path, link, &before)?,
        };
        if let Some(size) = kind.too_large() {
            return Err(damaged(&format!(
                "{} has {size} bytes, more than any file can have",
                String::from_utf8_lossy(&path)
            )));
        }
        self.left = kind.stored();
        self.padding = (BLOCK as u64 - self.left % BLOCK as u64) % BLOCK as u64;
        self.sparse = match kind {
            Kind::Sparse { size, .. } => Some((size, mapped.map(|(_, map)| map))),
            _ => None,
        };
        if self.sparse.is_some() {
            path = before.sparse_name.take().unwrap_or(path);
        }
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        let id = |number: u64| {
            owner(number)
                .ok_or_else(|| damaged(&format!("{number} is no number of a user or group")))
        };
        let mut attributes = before.attributes;
        sort::sort(&mut attributes);
        Ok(Entry {
            path,
            kind,
            mode: header.mode,
            uid: id(before.uid.unwrap_or(header.uid))?,
            gid: id(before.gid.unwrap_or(header.gid))?,
            modified: before.modified.unwrap_or(Moment {
                seconds: header.modified,
                nanoseconds: 0,
            }),
            attributes: Attributes(attributes),
        })
    }

    /// Hands over the content of the last entry, piece by piece, and returns the digest of its bytes in the archive
    /// (with the map of a sparse file). A second call finds no more pieces.
    ///
    /// # Errors
    /// Those of the archive, of `watch`, and of `each`.
    pub fn content(
        &mut self,
        watch: Watch<'_>,
        each: &mut dyn FnMut(Piece<'_>) -> Result<(), Failure>,
    ) -> Result<Digest, Failure> {
        let mut hasher = Hasher::default();
        if let Some((size, map)) = self.sparse.take() {
            let map = match map {
                Some(map) => map,
                None => {
                    let limited = &mut (&mut self.input).take(self.left);
                    let (map, bytes) = Map::read(limited, size)?;
                    hasher.update(&bytes);
                    self.left -= bytes.len() as u64;
                    self.position += bytes.len() as u64;
                    map
                }
            };
            if self.left != map.data() {
                return Err(damaged("the map of a sparse file does not fit its data"));
            }
            for segment in map.segments() {
                self.pieces(segment.offset, segment.length, &mut hasher, watch, each)?;
            }
        } else {
            self.pieces(0, self.left, &mut hasher, watch, each)?;
        }
        let padding = std::mem::take(&mut self.padding);
        let mut block = [0; BLOCK];
        let part = usize::try_from(padding).unwrap_or(0);
        self.exactly(block.get_mut(..part).unwrap_or_default())?;
        Ok(hasher.finish())
    }

    fn pieces(
        &mut self,
        mut offset: u64,
        mut length: u64,
        hasher: &mut Hasher,
        watch: Watch<'_>,
        each: &mut dyn FnMut(Piece<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        while length > 0 {
            let want = CHUNK.min(usize::try_from(length).unwrap_or(CHUNK));
            let buffer = self.buffer.get_mut(..want).unwrap_or_default();
            self.input
                .read_exact(buffer)
                .map_err(unreadable("the content of a file"))?;
            hasher.update(buffer);
            each(Piece {
                offset,
                bytes: buffer,
            })?;
            offset += want as u64;
            length -= want as u64;
            self.left -= want as u64;
            self.position += want as u64;
            self.passed += want as u64;
            watch(self.passed)?;
        }
        Ok(())
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        self.input
            .read_exact(buffer)
            .map_err(unreadable("a header"))?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// Offset of the last entry's headers in the uncompressed archive.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// The whole content of a header, if it is not too long.
    fn whole(&mut self, size: u64, limit: u64) -> Result<Vec<u8>, Failure> {
        if size > limit {
            return Err(damaged("a header is longer than any that is of use"));
        }
        let length = usize::try_from(size).unwrap_or(0);
        let mut bytes = vec![0; length.next_multiple_of(BLOCK)];
        self.exactly(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    fn name(&mut self, size: u64) -> Result<Vec<u8>, Failure> {
        let mut name = self.whole(size, MAX_NAME)?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// Behind the end of the archive there are zeros at most.
    fn rest_is_empty(&mut self, watch: Watch<'_>) -> Result<(), Failure> {
        loop {
            watch(self.passed)?;
            match self.input.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(read) if self.buffer.iter().take(read).all(|&byte| byte == 0) => {}
                Ok(_) => return Err(damaged("something stands behind its end")),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable("its end")(error)),
            }
        }
    }
}
