//! A step's log as text: its bytes so far, with a note in the place of those that were not kept.
//!
//! Invariant: an answer holds the text that its length and its tag describe, or it breaks off.

use crate::blocking;
use crate::engine::{LogId, LogStore};
use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;

/// Most bytes in one piece.
const PIECE: u64 = 64 * 1024;

/// The text of a log at one moment.
pub(super) struct LogText {
    logs: LogStore,
    id: LogId,
    parts: Vec<TextPart>,
    /// Names this text among all texts of this server.
    pub(super) tag: String,
}

#[derive(Debug, Clone)]
enum TextPart {
    /// Bytes of the log.
    Log(Range<u64>),
    Note(Bytes),
}

impl TextPart {
    fn length(&self) -> u64 {
        match self {
            Self::Log(range) => range.end - range.start,
            Self::Note(text) => text.len() as u64,
        }
    }
}

impl LogText {
    /// The text from the offset `from` of the log on.
    pub(super) fn new(logs: LogStore, id: LogId, from: u64) -> io::Result<Self> {
        let (gap, end) = loop {
            // More may be dropped in between.
            let gap = logs.gap(id)?;
            let end = logs.length(id)?.unwrap_or(0);
            if logs.gap(id)? == gap {
                break (gap, end);
            }
        };
        let from = from.min(end);
        let mut parts = Vec::new();
        let gap = gap.filter(|gap| gap.end > from);
        if let Some(gap) = &gap {
            let start = gap.start.max(from);
            parts.push(TextPart::Log(from..start));
            parts.push(TextPart::Note(Bytes::from(format!(
                "\n[… {} bytes were not kept: the log passed its limit of {} bytes …]\n",
                gap.end - start,
                logs.limit()
            ))));
        }
        parts.push(TextPart::Log(gap.as_ref().map_or(from, |gap| gap.end)..end));
        let gap = gap.unwrap_or_default();
        let (run, step, attempt) = (id.run.0, id.position, id.attempt);
        let tag = format!(
            "{run:x}-{step:x}-{attempt:x}-{from:x}-{end:x}-{:x}-{:x}-{:x}",
            gap.start,
            gap.end,
            logs.limit()
        );
        Ok(Self {
            logs,
            id,
            parts,
            tag,
        })
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.parts.iter().map(TextPart::length).sum()
    }

    /// The bytes of a range of the text.
    pub(super) fn body(self, range: Range<u64>) -> Body {
        let mut at = 0;
        let mut wanted = VecDeque::new();
        for part in self.parts {
            let (begin, end) = (at, at + part.length());
            at = end;
            let (from, to) = (range.start.max(begin), range.end.min(end));
            if from >= to {
                continue;
            }
            wanted.push_back(match part {
                TextPart::Log(log) => {
                    TextPart::Log(log.start + (from - begin)..log.start + (to - begin))
                }
                // A note is a line, so both offsets are small.
                TextPart::Note(text) => {
                    TextPart::Note(text.slice((from - begin) as usize..(to - begin) as usize))
                }
            });
        }
        let (logs, id) = (self.logs, self.id);
        Body::from_stream(unfold(wanted, move |mut wanted| {
            let logs = logs.clone();
            async move {
                match wanted.pop_front()? {
                    TextPart::Note(text) => Some((Ok(text), wanted)),
                    TextPart::Log(log) => {
                        let end = log.end.min(log.start + PIECE);
                        if end < log.end {
                            wanted.push_front(TextPart::Log(end..log.end));
                        }
                        let read = move || piece(&logs, id, log.start..end);
                        match blocking::run(read).await.map_err(io::Error::from) {
                            Ok(Ok(bytes)) => Some((Ok(bytes), wanted)),
                            Ok(Err(error)) | Err(error) => Some((Err(error), VecDeque::new())),
                        }
                    }
                }
            }
        }))
    }
}

/// All bytes of a range of the log.
fn piece(logs: &LogStore, id: LogId, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    loop {
        let at = range.start + bytes.len() as u64;
        // A piece is small.
        let most = (range.end - at) as usize;
        if most == 0 {
            return Ok(bytes.into());
        }
        let mut piece = logs.read(id, at, most)?;
        if piece.offset != at || piece.bytes.is_empty() {
            return Err(io::Error::other(
                "this part of the log was dropped just now",
            ));
        }
        bytes.append(&mut piece.bytes);
    }
}
