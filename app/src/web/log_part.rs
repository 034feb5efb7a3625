//! Parts of a log for a reader that cannot hold the whole: the lines before or after an
//! offset, and where a text occurs.
//!
//! Invariant: parts fit together: one that ends at an offset and one that begins there lose
//! and repeat nothing, and no part crosses the range that was dropped from the middle.

use super::log_text::{times, whole_characters};
use crate::engine::{LogId, LogStore};
use crate::view::{LogGap, LogMatches, LogPart};
use aho_corasick::AhoCorasick;
use std::io;

/// Most bytes of a part.
const PART: u64 = 128 * 1024;
/// Most bytes looked at in one go of a search.
const PIECE: usize = 256 * 1024;
/// Most matches told.
pub(super) const MATCHES: usize = 1000;

/// The place of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogPlace {
    /// The part that ends exactly at the offset; it begins with a line, where one begins inside.
    Before(u64),
    /// The part that begins exactly at the offset; it ends with a line, where one ends inside.
    After(u64),
    /// The same, beginning with the first line that begins at or after the offset.
    FromLine(u64),
    /// The newest part.
    End,
}

/// Reads a part.
pub(super) fn part(logs: &LogStore, id: LogId, place: LogPlace) -> io::Result<LogPart> {
    let length = logs.length(id)?.unwrap_or(0);
    let gap = logs.gap(id)?;
    let inside = |at: u64| gap.as_ref().filter(|gap| gap.contains(&at));
    let (start, bytes) = match place {
        LogPlace::Before(_) | LogPlace::End => {
            let end = match place {
                LogPlace::Before(end) => end.min(length),
                _ => length,
            };
            // A part that ends inside or right after the gap ends at the gap's beginning.
            let end = end
                .checked_sub(1)
                .and_then(inside)
                .map_or(end, |gap| gap.start);
            let floor = gap.as_ref().map_or(0, |gap| gap.end);
            let floor = if end > floor { floor } else { 0 };
            let from = end.saturating_sub(PART).max(floor);
            // One byte more tells whether a line begins here.
            let known = from.saturating_sub(1).max(floor);
            let bytes = read(logs, id, known, end)?;
            let skip = if known < from { line_begin(&bytes) } else { 0 };
            let mut bytes = bytes.get(skip..).unwrap_or_default().to_vec();
            if place == LogPlace::End {
                // The stream continues there, and completes a character that is cut.
                bytes.truncate(whole_characters(&bytes));
            }
            (known + skip as u64, bytes)
        }
        LogPlace::After(from) | LogPlace::FromLine(from) => {
            let from = inside(from).map_or(from, |gap| gap.end).min(length);
            let begins = from == 0 || gap.as_ref().is_some_and(|gap| gap.end == from);
            let roof = gap.as_ref().map_or(length, |gap| gap.start);
            let roof = if from < roof { roof } else { length };
            let end = (from + PART).min(roof);
            let (from, mut bytes) = match place {
                LogPlace::FromLine(_) if !begins => {
                    let bytes = read(logs, id, from - 1, end)?;
                    let skip = line_begin(&bytes);
                    let rest = bytes.get(skip..).unwrap_or_default().to_vec();
                    (from - 1 + skip as u64, rest)
                }
                _ => (from, read(logs, id, from, end)?),
            };
            if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n')
                && end < length
            {
                bytes.truncate(last + 1);
            } else if end < roof || end == length {
                // The next part, or later output, completes a character that is
                // cut here; nothing completes one before the dropped range.
                bytes.truncate(whole_characters(&bytes));
            }
            (from, bytes)
        }
    };
    let end = start + bytes.len() as u64;
    Ok(LogPart {
        start,
        end,
        length,
        gap: gap.map(|gap| LogGap {
            from: gap.start,
            to: gap.end,
        }),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        times: times(logs, id, start, end)?,
    })
}

/// The bytes of a stretch that nothing was dropped from.
fn read(logs: &LogStore, id: LogId, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let at = from + bytes.len() as u64;
        let most = usize::try_from(to.saturating_sub(at)).unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(bytes);
        }
        let mut piece = logs.read(id, at, most)?;
        // It may have been dropped just now.
        if piece.bytes.is_empty() || piece.offset != at {
            return Ok(bytes);
        }
        bytes.append(&mut piece.bytes);
    }
}

/// The beginning of the first line after the first of `bytes`; where none begins, the first
/// character.
fn line_begin(bytes: &[u8]) -> usize {
    if let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
        && end + 1 < bytes.len()
    {
        return end + 1;
    }
    let rest = bytes.get(1..).unwrap_or_default();
    let inner = rest.iter().take_while(|byte| matches!(byte, 0x80..=0xBF));
    (1 + inner.take(3).count()).min(bytes.len())
}

/// Finds `text` in a log from `from` on, without regard to the case of the letters a to z.
pub(super) fn matches(logs: &LogStore, id: LogId, text: &str, from: u64) -> io::Result<LogMatches> {
    let searcher = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build([text])
        .map_err(io::Error::other)?;
    let mut found = LogMatches::default();
    let mut held: Vec<u8> = Vec::new();
    let mut at = from;
    loop {
        let piece = logs.read(id, at, PIECE)?;
        if piece.bytes.is_empty() {
            found.searched = at;
            return Ok(found);
        }
        if piece.offset != at {
            // Nothing can match across the dropped range.
            held.clear();
        }
        let begin = piece.offset - held.len() as u64;
        at = piece.offset + piece.bytes.len() as u64;
        held.extend_from_slice(&piece.bytes);
        let mut next = 0;
        for hit in searcher.find_iter(&held) {
            if found.offsets.len() == MATCHES {
                found.more = true;
                found.searched = begin + hit.start() as u64;
                return Ok(found);
            }
            found.offsets.push(begin + hit.start() as u64);
            next = hit.end();
        }
        // A match may continue in the next piece.
        let keep = next.max(held.len().saturating_sub(text.len() - 1));
        held.drain(..keep);
    }
}
