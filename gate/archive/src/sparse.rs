//! Files with holes: where their data is, and how an archive says so. The gate writes GNU.sparse 1.0, a map before the
//! data; of other tools the map in PAX records (0.0 and 0.1) and that in headers (type `S`) are read as well.
//!
//! Invariant: the segments of a [`Map`] are in order, do not overlap and end within the file.

use std::io::Read;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek64};

use super::damaged;
use super::ustar::{BLOCK, value};
use base::error::Failure;

/// Limit of a map. The rest of a file with more holes is packed as if it had none: that costs room, and no memory.
const MAX_SEGMENTS: usize = 1 << 16;

/// The end of a file of the largest size, where the kernel does not say where data is: on tmpfs lseek(2) with SEEK_DATA
/// passes over the last folio, because the offset behind it is larger than an `off_t` (seen on Linux 6.18).
const BLIND: i64 = 4 << 20;

/// A stretch of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Offset in the file.
    pub(super) offset: u64,
    /// Length.
    pub(super) length: u64,
}

/// The ranges of data in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Map(Vec<Segment>);

impl Map {
    /// Asks the file system; `None` where there is no hole.
    pub(super) fn of(file: impl AsFd, size: u64) -> nix::Result<Option<Self>> {
        let size = i64::try_from(size).map_err(|_| Errno::EOVERFLOW)?;
        let end = size.min(i64::MAX - BLIND);
        let mut segments = Vec::new();
        let mut at = 0;
        while at < end {
            let data = match lseek64(&file, at, Whence::SeekData) {
                Ok(data) => data.min(end),
                // There is none behind this point.
                Err(Errno::ENXIO) => break,
                Err(errno) => return Err(errno),
            };
            let last = segments.len() + 1 == MAX_SEGMENTS;
            let hole = if last {
                end
            } else {
                lseek64(&file, data, Whence::SeekHole)?.min(end)
            };
            if hole > data {
                segments.push(Segment {
                    offset: u64::try_from(data).unwrap_or(0),
                    length: u64::try_from(hole - data).unwrap_or(0),
                });
            }
            at = hole.max(data.saturating_add(1));
        }
        let size = u64::try_from(size).unwrap_or(0);
        let seen = u64::try_from(end).unwrap_or(0);
        if seen < size {
            segments.push(Segment {
                offset: seen,
                length: size - seen,
            });
        }
        let whole = matches!(segments.as_slice(), [one] if one.length == size);
        Ok((!whole && size > 0).then_some(Self(segments)))
    }

    /// The stretches of data.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Number of bytes of data.
    pub(super) fn data(&self) -> u64 {
        self.0.iter().map(|segment| segment.length).sum()
    }

    /// As it stands in the archive: decimal numbers, one a line, and zeros up to a whole block. A file that ends
    /// with a hole has an empty segment at its end, as GNU tar writes it.
    pub(super) fn text(&self, size: u64) -> Vec<u8> {
        let ends = self.0.last().map_or(0, |last| last.offset + last.length);
        let tail = (ends < size).then_some(Segment {
            offset: size,
            length: 0,
        });
        let count = self.0.len() + usize::from(tail.is_some());
        let mut text = format!("{count}\n");
        for segment in self.0.iter().chain(&tail) {
            text.push_str(&format!("{}\n{}\n", segment.offset, segment.length));
        }
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    /// A map of stretches as another tool wrote them: offset and length, in order.
    pub(super) fn of_pairs(pairs: &[(u64, u64)], size: u64) -> Result<Self, Failure> {
        if pairs.len() > MAX_SEGMENTS + 1 {
            return Err(damaged("the map of a sparse file has too many segments"));
        }
        let mut segments = Vec::new();
        let mut end = 0;
        for &(offset, length) in pairs {
            let next = offset.checked_add(length);
            match next.filter(|&next| offset >= end && next <= size) {
                Some(next) => end = next,
                None => return Err(damaged("the map of a sparse file is not one")),
            }
            if length > 0 {
                segments.push(Segment { offset, length });
            }
        }
        Ok(Self(segments))
    }

    /// Reads the map of a file of `size` bytes, block by block; returns its bytes as well.
    pub(super) fn read(input: &mut impl Read, size: u64) -> Result<(Self, Vec<u8>), Failure> {
        let broken = || damaged("the map of a sparse file is not one");
        let mut bytes = Vec::new();
        let mut at = 0;
        let mut number = |bytes: &mut Vec<u8>| -> Result<u64, Failure> {
            loop {
                let rest = bytes.get(at..).unwrap_or_default();
                if let Some(end) = rest.iter().take(21).position(|&byte| byte == b'\n') {
                    let digits = rest.get(..end).unwrap_or_default();
                    at += end + 1;
                    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                        return Err(broken());
                    }
                    let text = std::str::from_utf8(digits).map_err(|_| broken())?;
                    return text.parse().map_err(|_| broken());
                }
                if rest.len() > 20 {
                    return Err(broken());
                }
                let mut block = [0; BLOCK];
                input
                    .read_exact(&mut block)
                    .map_err(super::unreadable("the map of a sparse file"))?;
                bytes.extend(block);
            }
        };
        let count = number(&mut bytes)?;
        if count > MAX_SEGMENTS as u64 + 1 {
            return Err(damaged("the map of a sparse file has too many segments"));
        }
        let mut segments = Vec::new();
        let mut end = 0;
        for _ in 0..count {
            let offset = number(&mut bytes)?;
            let length = number(&mut bytes)?;
            let next = offset.checked_add(length).ok_or_else(broken)?;
            if offset < end || next > size {
                return Err(broken());
            }
            end = next;
            if length > 0 {
                segments.push(Segment { offset, length });
            }
        }
        Ok((Self(segments), bytes))
    }
}

/// GNU tar's oldest form, type `S`: the map begins in the header and continues in the blocks behind it.
#[derive(Debug, Default)]
pub(super) struct OldMap {
    pairs: Vec<(u64, u64)>,
    /// Another block follows.
    pub(super) continues: bool,
    size: u64,
}

impl OldMap {
    /// Reads the part in the header.
    pub(super) fn begin(header: &[u8; BLOCK]) -> Result<Self, Failure> {
        let mut map = Self::default();
        map.add(header, 386, 4)?;
        map.size = natural(header, (483, 12))?;
        map.continues = header.get(482).is_some_and(|&byte| byte != 0);
        Ok(map)
    }

    /// Reads a block behind it.
    pub(super) fn go_on(&mut self, block: &[u8; BLOCK]) -> Result<(), Failure> {
        self.add(block, 0, 21)?;
        self.continues = block.get(504).is_some_and(|&byte| byte != 0);
        Ok(())
    }

    fn add(&mut self, block: &[u8; BLOCK], at: usize, count: usize) -> Result<(), Failure> {
        for slot in 0..count {
            let at = at + slot * 24;
            // A slot that is not used holds zeros.
            if block.get(at).is_none_or(|&byte| byte == 0) {
                break;
            }
            let pair = (natural(block, (at, 12))?, natural(block, (at + 12, 12))?);
            self.pairs.push(pair);
            if self.pairs.len() > MAX_SEGMENTS + 1 {
                return Err(damaged("the map of a sparse file has too many segments"));
            }
        }
        Ok(())
    }

    /// The size of the file, and its map.
    pub(super) fn finish(self) -> Result<(u64, Map), Failure> {
        let map = Map::of_pairs(&self.pairs, self.size)?;
        Ok((self.size, map))
    }
}

fn natural(block: &[u8; BLOCK], field: (usize, usize)) -> Result<u64, Failure> {
    u64::try_from(value(block, field)?)
        .map_err(|_| damaged("a number in the map of a sparse file is negative or too large"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holes_are_found_where_the_file_system_keeps_them() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        assert_eq!(Map::of(&file, 10 << 20).unwrap(), Some(Map::default()));
        file.write_all_at(&[1; 4096], 4 << 20).unwrap();
        let map = Map::of(&file, 10 << 20).unwrap().unwrap();
        assert!(map.data() >= 4096 && map.data() < 2 << 20, "{map:?}");
        assert!(map.text(10 << 20).ends_with(b"\0"));
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[1; 5000], 0).unwrap();
        assert_eq!(Map::of(&file, 5000).unwrap(), None);
        assert_eq!(Map::of(&file, 0).unwrap(), None);
    }

    #[test]
    fn a_map_that_lies_is_refused() {
        for text in [
            "2\n0\n5\n4\n1\n",
            "1\n5\n6\n",
            "1\n18446744073709551615\n1\n",
            "1\n-1\n1\n",
            "99999999\n",
            "1\nx\n",
            "1",
            "111111111111111111111111111111\n",
        ] {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(BLOCK, 0);
            assert!(Map::read(&mut bytes.as_slice(), 10).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn maps_are_read_as_they_were_written(gaps in proptest::collection::vec((1_u64..1 << 40, 1_u64..1 << 40), 0..60), tail in 0_u64..3) {
            let mut segments = Vec::new();
            let mut at = 0;
            for (gap, length) in gaps {
                segments.push(Segment { offset: at + gap, length });
                at += gap + length;
            }
            let map = Map(segments);
            let text = map.text(at + tail);
            let (again, bytes) = Map::read(&mut text.as_slice(), at + tail).unwrap();
            prop_assert_eq!(again, map);
            prop_assert_eq!(bytes, text);
        }
    }
}
