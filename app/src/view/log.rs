//! Events of a log stream. A log is addressed by byte offsets in what the step printed.

use crate::domain::progress::Progress;
use crate::engine::LogId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The event `chunk`: bytes of the log, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogChunk {
    /// Offset of its first byte.
    pub offset: u64,
    /// Offset after its last byte; the event's id, from which to resume.
    pub next: u64,
    /// The text; bytes that are not UTF-8 are shown as U+FFFD.
    pub text: String,
    /// When it was printed, to the second.
    #[serde(default)]
    pub times: Vec<TimeMark>,
}

/// The event `progress`: a running step says how far it is, at most once a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressView {
    /// The run.
    pub run: i64,
    /// The step's position, from 0.
    pub position: usize,
    /// The attempt, from 1.
    pub attempt: u32,
    /// 0 to 100; null where the end is not known.
    pub percent: Option<u8>,
    /// What else it says.
    pub text: String,
}

impl ProgressView {
    pub(crate) fn new(log: LogId, progress: Progress) -> Self {
        Self {
            run: log.run.0,
            position: log.position,
            attempt: log.attempt,
            percent: progress.percent,
            text: progress.text,
        }
    }
}

/// From an offset on, what follows was printed at that time or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeMark {
    /// Offset in the log.
    pub offset: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub millis: i64,
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPart {
    /// Offset of its first byte.
    pub start: u64,
    /// Offset after its last byte.
    pub end: u64,
    /// Length of the whole log, as far as it is now.
    pub length: u64,
    /// What was dropped from the middle because the log passed its limit.
    pub gap: Option<LogGap>,
    /// The text; bytes that are not UTF-8 are shown as U+FFFD.
    pub text: String,
    /// When it was printed, to the second: the last mark at or before its start, and those in it.
    pub times: Vec<TimeMark>,
}

/// Where a text occurs in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogMatches {
    /// Offsets of the first bytes of the matches, at most 1000.
    pub offsets: Vec<u64>,
    /// Whether there are more; ask again with `from` set to `searched`.
    pub more: bool,
    /// How far was searched.
    pub searched: u64,
}

/// The event `gap`: a part that was dropped because the log passed its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogGap {
    /// Offset of the first byte dropped.
    pub from: u64,
    /// Offset of the first byte kept after it.
    pub to: u64,
}

/// The event `end`: the attempt is over and all of its log was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEnd {
    /// Length of the log.
    pub length: u64,
}
