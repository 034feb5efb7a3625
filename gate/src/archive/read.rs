//! A tar archive → entries, one after the other.
//!
//! Reads what the gate writes, and what its first versions wrote (GNU's long names). The archive comes from the
//! remote and may be anything.
//!
//! Invariant: memory is bounded whatever the archive says; nothing is taken for an entry whose header has not its
//! checksum; an archive that ends early is an error.

use std::io::{BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::digest::{Digest, Hasher};
use super::entry::{Attributes, Entry, Kind, Moment, owner};
use super::sparse::Map;
use super::ustar::{BLOCK, Header};
use super::{Watch, acl, damaged, pax, unreadable};
use crate::error::Failure;

/// Longest name in a header of its own: a tree of the greatest depth with the longest names fits.
const MAX_NAME: u64 = 128 << 10;

/// Headers that go before an entry: PAX, and GNU's long name and long link.
const MAX_BEFORE: usize = 4;

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// A stretch of a file's content, and where it belongs.
#[derive(Debug)]
pub struct Piece<'a> {
    /// Where in the file.
    pub offset: u64,
    /// What stands there. What no piece covers is a hole.
    pub bytes: &'a [u8],
}

/// The entries of an archive.
pub struct Entries<R> {
    input: R,
    /// Of the last entry's content, not yet read.
    left: u64,
    /// Behind that content.
    padding: u64,
    /// The size of the last entry, where that is a sparse file.
    sparse: Option<u64>,
    /// Bytes of content read so far, for the caller that watches.
    passed: u64,
    /// Bytes of the archive read so far.
    position: u64,
    /// Where the headers of the last entry begin.
    began: u64,
    buffer: Vec<u8>,
}

/// What headers before an entry say about it.
#[derive(Default)]
struct Before {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<Moment>,
    real_size: Option<u64>,
    sparse_name: Option<Vec<u8>>,
    sparse_version: (Option<Vec<u8>>, Option<Vec<u8>>),
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> Entries<MultiGzDecoder<BufReader<R>>> {
    /// Of a `.tar.gz`.
    pub fn gunzip(input: R) -> Self {
        Self::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, input)))
    }

    /// Where the compressed bytes came from.
    pub fn into_source(self) -> R {
        self.input.into_inner().into_inner()
    }
}

impl<R: Read> Entries<R> {
    /// Of a tar archive.
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
                b'L' => before.path = Some(self.name(header.size)?),
                b'K' => before.link = Some(self.name(header.size)?),
                _ => return self.entry(before, header).map(Some),
            }
        }
        Err(damaged("too many headers stand before an entry"))
    }

    fn entry(&mut self, before: Before, header: Header) -> Result<Entry, Failure> {
        let stored = before.size.unwrap_or(header.size);
        let path = before.path.unwrap_or(header.path);
        let link = before.link.unwrap_or(header.link);
        let id = |number: u64| {
            owner(number)
                .ok_or_else(|| damaged(&format!("{number} is no number of a user or group")))
        };
        let kind = match header.letter {
            0 | b'0' if before.sparse_version.0.is_some() || before.real_size.is_some() => {
                let (major, minor) = &before.sparse_version;
                if major.as_deref() != Some(b"1") || minor.as_deref() != Some(b"0") {
                    return Err(damaged("a sparse file is not in the form GNU.sparse 1.0"));
                }
                let size = before
                    .real_size
                    .ok_or_else(|| damaged("a sparse file has no size"))?;
                Kind::Sparse { size, stored }
            }
            // As old as tar itself: a directory is a file whose name ends with a slash.
            0 | b'0' if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' => Kind::File { size: stored },
            b'1' => Kind::HardLink { target: link },
            b'2' => Kind::Symlink { target: link },
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            letter => Kind::Other { letter, stored },
        };
        self.left = kind.stored();
        self.padding = (BLOCK as u64 - self.left % BLOCK as u64) % BLOCK as u64;
        self.sparse = match kind {
            Kind::Sparse { size, .. } => Some(size),
            _ => None,
        };
        let mut path = match self.sparse {
            Some(_) => before.sparse_name.unwrap_or(path),
            None => path,
        };
        while path.ends_with(b"/") {
            path.pop();
        }
        let mut attributes = before.attributes;
        attributes.sort();
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

    /// Hands over the content of the last entry, piece by piece, and returns the digest of what stands in the
    /// archive for it (with the map of a sparse file). The second call finds nothing more.
    ///
    /// # Errors
    /// Those of the archive, of `watch`, and of `each`.
    pub fn content(
        &mut self,
        watch: Watch<'_>,
        each: &mut dyn FnMut(Piece<'_>) -> Result<(), Failure>,
    ) -> Result<Digest, Failure> {
        let mut hasher = Hasher::default();
        if let Some(size) = self.sparse.take() {
            let limited = &mut (&mut self.input).take(self.left);
            let (map, bytes) = Map::read(limited, size)?;
            hasher.update(&bytes);
            self.left -= bytes.len() as u64;
            self.position += bytes.len() as u64;
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

    /// Where the headers of the last entry begin in the uncompressed archive.
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

impl Before {
    fn pax(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for (key, value) in pax::records(bytes)? {
            let number = || {
                let text = std::str::from_utf8(value).ok();
                let plain = text.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                plain
                    .and_then(|text| text.parse::<u64>().ok())
                    .ok_or_else(|| damaged("a number in a PAX header is not one"))
            };
            let list = || acl::to_binary(value).ok_or_else(|| damaged("an ACL is not one"));
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number()?),
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                b"mtime" => {
                    let moment = Moment::parse(value);
                    self.modified = Some(moment.ok_or_else(|| damaged("a time is not one"))?);
                }
                b"GNU.sparse.major" => self.sparse_version.0 = Some(value.to_vec()),
                b"GNU.sparse.minor" => self.sparse_version.1 = Some(value.to_vec()),
                b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
                b"GNU.sparse.realsize" => self.real_size = Some(number()?),
                b"SCHILY.acl.access" => self.attributes.push((acl::ACCESS.to_vec(), list()?)),
                b"SCHILY.acl.default" => self.attributes.push((acl::DEFAULT.to_vec(), list()?)),
                _ => {
                    // An ACL is said in its own way, and not once more.
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                        && !name.starts_with(b"system.")
                    {
                        self.attributes.push((pax::unescape(name), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }
}
