//! Events of a log stream. A log is addressed by byte offsets in what the step printed.

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
