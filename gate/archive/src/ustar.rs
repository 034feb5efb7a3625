//! The 512 bytes of a tar header: POSIX's ustar, and the variants of GNU tar and star in the same fields.
//!
//! Invariant: the output is plain ustar, except for the one case in [`number`]; every header that is read passed its
//! checksum.

use super::damaged;
use base::error::Failure;

/// Everything in a tar archive comes in blocks of this size.
pub(super) const BLOCK: usize = 512;

/// Largest user or group number in seven octal digits.
pub(super) const MAX_ID: u32 = 0o7_777_777;

/// Largest size, and latest time, in eleven octal digits: 8 GiB, and the year 2242.
pub(super) const MAX_LONG: u64 = 0o77_777_777_777;

const NAME: (usize, usize) = (0, 100);
const MODE: (usize, usize) = (100, 8);
const UID: (usize, usize) = (108, 8);
const GID: (usize, usize) = (116, 8);
const SIZE: (usize, usize) = (124, 12);
const MTIME: (usize, usize) = (136, 12);
const CHECKSUM: (usize, usize) = (148, 8);
const LETTER: usize = 156;
const LINK: (usize, usize) = (157, 100);
const MAGIC: (usize, usize) = (257, 8);
const PREFIX: (usize, usize) = (345, 155);

/// The fields of a header, as far as the gate has a use for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Header {
    /// Path; a directory's ends with a slash.
    pub(super) path: Vec<u8>,
    /// Permissions.
    pub(super) mode: u32,
    /// Owner.
    pub(super) uid: u64,
    /// Group.
    pub(super) gid: u64,
    /// Bytes that follow.
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: i64,
    /// Its type.
    pub(super) letter: u8,
    /// Target of a link.
    pub(super) link: Vec<u8>,
}

/// The place at which a path is split so that both parts fit; `None` for a path that is too long.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME.1 {
        return Some((&[], path));
    }
    (0..=PREFIX.1)
        .rev()
        .filter(|&at| at > 0 && path.get(at) == Some(&b'/'))
        .filter_map(|at| Some((path.get(..at)?, path.get(at + 1..)?)))
        .find(|(_, name)| !name.is_empty() && name.len() <= NAME.1)
}

/// True if a path fits unchanged.
pub(super) fn path_fits(path: &[u8]) -> bool {
    split(path).is_some()
}

/// True if the target of a link fits unchanged.
pub(super) fn link_fits(link: &[u8]) -> bool {
    link.len() <= LINK.1
}

fn put(block: &mut [u8; BLOCK], (at, length): (usize, usize), bytes: &[u8]) {
    if let Some(field) = block.get_mut(at..at + length) {
        field
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
    }
}

/// Octal digits and a NUL. A larger value is written as GNU tar and star do (a set first bit, then the number in base
/// 256). The gate allows that only for a sparse file with more than 8 GiB of data: its size would belong into a PAX
/// header, and Python's tarfile takes that for the size with holes.
fn number(block: &mut [u8; BLOCK], field: (usize, usize), value: u64) {
    let digits = field.1 - 1;
    let text = format!("{value:0digits$o}");
    if text.len() <= digits {
        put(block, field, text.as_bytes());
    } else {
        let mut bytes = vec![0; field.1];
        if let Some((first, rest)) = bytes.split_first_mut() {
            *first = 0x80;
            for (to, from) in rest.iter_mut().rev().zip(value.to_le_bytes()) {
                *to = from;
            }
        }
        put(block, field, &bytes);
    }
}

fn checksum(block: &[u8; BLOCK]) -> u64 {
    block
        .iter()
        .enumerate()
        .map(|(at, &byte)| {
            let own = (CHECKSUM.0..CHECKSUM.0 + CHECKSUM.1).contains(&at);
            u64::from(if own { b' ' } else { byte })
        })
        .sum()
}

impl Header {
    /// The block. A value that is too long is cut off, a time that is too early becomes 1970: a PAX header goes before
    /// it then.
    pub(super) fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let (prefix, name) = split(&self.path).unwrap_or((&[], &self.path));
        put(&mut block, NAME, name);
        put(&mut block, PREFIX, prefix);
        number(&mut block, MODE, u64::from(self.mode & 0o7777));
        number(&mut block, UID, self.uid);
        number(&mut block, GID, self.gid);
        number(&mut block, SIZE, self.size);
        let modified = u64::try_from(self.modified).unwrap_or(0);
        number(&mut block, MTIME, modified.min(MAX_LONG));
        put(&mut block, (LETTER, 1), &[self.letter]);
        put(&mut block, LINK, &self.link);
        put(&mut block, MAGIC, b"ustar\x0000");
        let sum = format!("{:06o}\0 ", checksum(&block));
        put(&mut block, CHECKSUM, sum.as_bytes());
        block
    }

    /// Reads a block; `None` for one of zeros, which ends the archive.
    pub(super) fn decode(block: &[u8; BLOCK]) -> Result<Option<Self>, Failure> {
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if value(block, CHECKSUM)? != i128::from(checksum(block)) {
            return Err(damaged("a header does not have its checksum"));
        }
        let mut path = text(block, NAME);
        // GNU tar, with a different end of the magic, keeps other values in place of POSIX's prefix.
        if block.get(257..263) == Some(b"ustar\0") {
            let mut prefix = text(block, PREFIX);
            if !prefix.is_empty() {
                prefix.push(b'/');
                prefix.append(&mut path);
                path = prefix;
            }
        }
        let natural = |field| {
            u64::try_from(value(block, field)?)
                .map_err(|_| damaged("a number in a header is negative or too large"))
        };
        Ok(Some(Self {
            path,
            mode: u32::try_from(natural(MODE)? & 0o7777).unwrap_or(0),
            uid: natural(UID)?,
            gid: natural(GID)?,
            size: natural(SIZE)?,
            modified: i64::try_from(value(block, MTIME)?)
                .map_err(|_| damaged("a time in a header is too far away"))?,
            letter: block.get(LETTER).copied().unwrap_or(0),
            link: text(block, LINK),
        }))
    }
}

fn field(block: &[u8; BLOCK], (at, length): (usize, usize)) -> &[u8] {
    block.get(at..at + length).unwrap_or_default()
}

fn text(block: &[u8; BLOCK], at: (usize, usize)) -> Vec<u8> {
    let bytes = field(block, at);
    let end = bytes.iter().position(|&byte| byte == 0);
    bytes
        .get(..end.unwrap_or(bytes.len()))
        .unwrap_or_default()
        .to_vec()
}

/// The number in a field.
pub(super) fn value(block: &[u8; BLOCK], at: (usize, usize)) -> Result<i128, Failure> {
    let bytes = field(block, at);
    match bytes.first() {
        // Base 256, in two's complement; the first bit says so and the second is the sign.
        Some(&first) if first & 0x80 != 0 => {
            let start = if first & 0x40 == 0 { 0 } else { -1 };
            let head = i128::from(first & 0x3f);
            let head = if start == 0 { head } else { head - 0x40 };
            Ok(bytes
                .iter()
                .skip(1)
                .fold(head, |value, &byte| (value << 8) | i128::from(byte)))
        }
        _ => {
            let text = bytes.trim_ascii_start();
            let end = text.iter().position(|byte| matches!(byte, 0 | b' '));
            let digits = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
            digits.iter().try_fold(0_i128, |value, byte| match byte {
                b'0'..=b'7' => Ok(value * 8 + i128::from(byte - b'0')),
                _ => Err(damaged("a number in a header has strange digits")),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_paths_are_split_where_that_is_possible() {
        let path = |parts: &[usize]| {
            let parts: Vec<String> = parts.iter().map(|&n| "x".repeat(n)).collect();
            parts.join("/").into_bytes()
        };
        for (parts, fits) in [
            (&[100][..], true),
            (&[101], false),
            (&[155, 100], true),
            (&[156, 100], false),
            (&[155, 101], false),
            (&[70, 80, 90], true),
            (&[80, 80, 90], false),
        ] {
            let header = Header {
                path: path(parts),
                letter: b'0',
                ..Header::default()
            };
            assert_eq!(path_fits(&header.path), fits, "{parts:?}");
            let again = Header::decode(&header.encode()).unwrap().unwrap();
            assert_eq!(again == header, fits, "{parts:?}");
        }
    }

    #[test]
    fn what_is_too_large_for_octal_is_read_back() {
        for (size, modified) in [(MAX_LONG, 5), (MAX_LONG + 1, 5), (u64::MAX >> 1, 0)] {
            let header = Header {
                size,
                modified,
                letter: b'0',
                ..Header::default()
            };
            let again = Header::decode(&header.encode()).unwrap().unwrap();
            assert_eq!(again, header);
        }
        // As GNU tar writes a time before 1970.
        let mut block = Header::default().encode();
        put(&mut block, MTIME, &[0xff; 12]);
        let sum = format!("{:06o}\0 ", checksum(&block));
        put(&mut block, CHECKSUM, sum.as_bytes());
        assert_eq!(Header::decode(&block).unwrap().unwrap().modified, -1);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut block = Header {
            path: b"data".to_vec(),
            ..Header::default()
        }
        .encode();
        block[2] ^= 1;
        assert!(Header::decode(&block).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_blocks_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), BLOCK)) {
            let mut block: [u8; BLOCK] = bytes.try_into().unwrap();
            let sum = format!("{:06o}\0 ", checksum(&block));
            put(&mut block, CHECKSUM, sum.as_bytes());
            let _ = Header::decode(&block);
        }
    }
}
