//! The times of the bytes of a log: a side file of marks, at most one for each second in
//! which something was printed, so that it stays small beside any log.
//!
//! Invariant: a mark is written before the bytes it is about, so a reader of bytes finds
//! their time. If its marks cannot be written, a log has no times and is complete all the same.

use chrono::{DateTime, Utc};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a mark: offset and milliseconds since 1970, lowest byte first.
const MARK: u64 = 16;

/// From an offset on, bytes were printed at that time or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrintMark {
    /// Offset in the log.
    pub offset: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub millis: i64,
}

/// Writes the marks of one log.
#[derive(Debug)]
pub(super) struct MarkWriter {
    file: Option<File>,
    second: Option<i64>,
}

impl MarkWriter {
    pub(super) fn create(path: &Path) -> Self {
        Self {
            file: File::create(path).ok(),
            second: None,
        }
    }

    /// Puts the marks on the disk. Without them a log has no times.
    pub(super) fn sync(&self) {
        let _ = self.file.as_ref().map(File::sync_data);
    }

    /// Notes that the bytes at `offset` are printed now.
    pub(super) fn mark(&mut self, offset: u64, now: DateTime<Utc>) {
        let second = now.timestamp();
        if self.second.replace(second) == Some(second) {
            return;
        }
        let mut mark = [0; MARK as usize];
        mark[..8].copy_from_slice(&offset.to_le_bytes());
        mark[8..].copy_from_slice(&now.timestamp_millis().to_le_bytes());
        let written = self.file.as_mut().map(|file| file.write_all(&mark));
        if !matches!(written, Some(Ok(()))) {
            self.file = None;
        }
    }
}

/// The marks of the bytes from `from` to `to`: the last one not after `from`, and those in
/// between. A log without a side file has none.
pub(super) fn marks(path: &Path, from: u64, to: u64) -> io::Result<Vec<PrintMark>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    // A mark that a crash cut short is none.
    let count = fs::metadata(path)?.len() / MARK;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if read(&file, middle)?.offset <= from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut marks = Vec::new();
    for at in low.saturating_sub(1)..count {
        let mark = read(&file, at)?;
        if mark.offset >= to {
            break;
        }
        marks.push(mark);
    }
    Ok(marks)
}

fn read(file: &File, at: u64) -> io::Result<PrintMark> {
    let (mut offset, mut millis) = ([0; 8], [0; 8]);
    file.read_exact_at(&mut offset, at * MARK)?;
    file.read_exact_at(&mut millis, at * MARK + 8)?;
    Ok(PrintMark {
        offset: u64::from_le_bytes(offset),
        millis: i64::from_le_bytes(millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_any_part_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        assert_eq!(marks(&path, 0, 10).unwrap(), []);
        let mut writer = MarkWriter::create(&path);
        for (offset, millis) in [(0, 1000), (10, 1400), (20, 2100), (30, 9000)] {
            writer.mark(offset, DateTime::from_timestamp_millis(millis).unwrap());
        }
        let found = |from, to| -> Vec<(u64, i64)> {
            let marks = marks(&path, from, to).unwrap();
            marks.iter().map(|m| (m.offset, m.millis)).collect()
        };
        // The second of two in one second is not kept.
        assert_eq!(found(0, 100), [(0, 1000), (20, 2100), (30, 9000)]);
        assert_eq!(found(15, 20), [(0, 1000)]);
        assert_eq!(found(20, 25), [(20, 2100)]);
        assert_eq!(found(99, 100), [(30, 9000)]);
    }
}
