//! The hash that OneDrive keeps of each file: QuickXorHash, as Microsoft published it.
//!
//! It tells if a file of a mirror without a manifest is the one of the tree, where size and time agree by chance. It is no
//! protection against an attacker.
//!
//! Invariant: the hash has one spelling, 40 lower-case hexadecimal digits, as rclone prints it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use base::error::Failure;

use crate::scan::shown;

/// The name of the hash.
pub const HASH: &str = "quickxor";

/// Bytes of one read.
const PIECE: usize = 64 << 10;

/// Bytes of the hash.
const WIDTH: usize = 20;

/// Bits by which the place of each byte moves on.
const SHIFT: usize = 11;

/// A hash in the making.
#[derive(Debug, Clone, Default)]
pub struct QuickXor {
    cells: [u8; WIDTH],
    /// The bit at which the next byte is mixed in.
    at: usize,
    length: u64,
}

impl QuickXor {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let (cell, bit) = (self.at / 8, self.at % 8);
            let spread = u16::from(byte) << bit;
            let [low, high] = spread.to_le_bytes();
            for (at, part) in [(cell, low), ((cell + 1) % WIDTH, high)] {
                if let Some(value) = self.cells.get_mut(at) {
                    *value ^= part;
                }
            }
            self.at = (self.at + SHIFT) % (8 * WIDTH);
        }
        self.length += bytes.len() as u64;
    }

    /// The hash of all that was added.
    #[must_use]
    pub fn finish(mut self) -> String {
        let length = self.length.to_le_bytes();
        let end = self.cells.iter_mut().skip(WIDTH - length.len());
        end.zip(length).for_each(|(cell, part)| *cell ^= part);
        self.cells.iter().fold(String::new(), |mut text, cell| {
            let _ = write!(text, "{cell:02x}");
            text
        })
    }
}

/// The hash of a file. `watch` is called for each piece, and may end the work.
///
/// # Errors
/// When the file cannot be read, or `watch` ends it.
pub fn hash_of(
    file: &File,
    path: &[u8],
    watch: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<String, Failure> {
    let mut hash = QuickXor::default();
    let mut buffer = vec![0; PIECE];
    let mut at = 0_u64;
    loop {
        watch()?;
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(hash.finish()),
            Ok(read) => {
                hash.update(buffer.get(..read).unwrap_or_default());
                at += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io(format!("reading {}", shown(path)))(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> String {
        let mut hash = QuickXor::default();
        for part in bytes.chunks(7) {
            hash.update(part);
        }
        hash.finish()
    }

    /// Compared with `rclone hashsum quickxor` of version 1.60.
    #[test]
    fn the_hash_is_that_of_rclone() {
        assert_eq!(hash(b""), "0000000000000000000000000000000000000000");
        assert_eq!(hash(b"a"), "6100000000000000000000000100000000000000");
        let all: Vec<u8> = (0..1000_u32).map(|n| (n % 251) as u8).collect();
        assert_eq!(hash(&all), "29ba617290a89576f5ff75a6f79d2f533797d5eb");
    }
}
