//! Pieces of a log on their way to a reader: whole characters, and the times of the bytes.

use crate::engine::{LogId, LogStore};
use crate::view::TimeMark;
use std::io;

/// The times of the bytes of a part.
pub(super) fn times(logs: &LogStore, id: LogId, from: u64, to: u64) -> io::Result<Vec<TimeMark>> {
    let marks = logs.marks(id, from, to)?;
    Ok(marks
        .into_iter()
        .map(|mark| TimeMark {
            offset: mark.offset,
            millis: mark.millis,
        })
        .collect())
}

/// The longest beginning of `bytes` that does not end inside a UTF-8 character which
/// the next piece may complete.
pub(super) fn whole_characters(bytes: &[u8]) -> usize {
    // A character has at most four bytes, so only the last three can be incomplete.
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let needed = match bytes[at] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return bytes.len(),
        };
        return if needed > back { at } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::whole_characters;

    #[test]
    fn a_character_is_never_cut() {
        let text = "aé€😀z";
        for cut in 0..=text.len() {
            let bytes = &text.as_bytes()[..cut];
            let whole = whole_characters(bytes);
            assert!(std::str::from_utf8(&bytes[..whole]).is_ok(), "{cut}");
            assert!(cut - whole < 4);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_not_held_back() {
        assert_eq!(whole_characters(&[0x80, 0x80, 0x80, 0x80]), 4);
        assert_eq!(whole_characters(&[0xFF]), 1);
        assert_eq!(whole_characters(b""), 0);
    }
}
