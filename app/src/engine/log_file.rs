//! A step's log on disk, bounded: the beginning and the newest part are kept.
//!
//! A log is addressed by byte offsets in the output as it was captured, so an offset
//! means the same bytes for ever, also after a part in the middle was dropped. On disk
//! it is a few segment files, each named after the offset of its first byte.

use super::feed::LogId;
use super::log_times::{self, MarkWriter, PrintMark};
use chrono::{DateTime, Utc};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Beginning of the names of log folders that wait for their removal.
const ASIDE: &str = ".removed-";

/// The folder of logs, and the limit of one log.
#[derive(Debug, Clone)]
pub struct LogStore {
    folder: PathBuf,
    /// Most bytes kept of one log.
    limit: u64,
    /// Runs whose folder has its name on the disk, newest last.
    named: Arc<Mutex<BTreeSet<i64>>>,
}

/// Most runs that are remembered as named; a forgotten one costs a sync.
const MOST_NAMED: usize = 64;

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Offset of the first byte of `bytes`; larger than the one that was asked for where the
    /// bytes in between were dropped.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    start: u64,
    path: PathBuf,
}

impl LogStore {
    /// Logs in `folder`, each bounded to about `limit` bytes (at least 64 KiB).
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit: limit.max(64 * 1024),
            named: Arc::default(),
        }
    }

    /// Most bytes kept of one log.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn run_folder(&self, run: i64) -> PathBuf {
        self.folder.join(run.to_string())
    }

    fn segment_path(&self, id: LogId, start: u64) -> PathBuf {
        // Steps count from 1 in file names, as people count them.
        self.run_folder(id.run.0)
            .join(format!("{}-{}.{start}.log", id.position + 1, id.attempt))
    }

    /// The marks of a log that say when the bytes from `from` to `to` were printed.
    pub fn marks(&self, id: LogId, from: u64, to: u64) -> io::Result<Vec<PrintMark>> {
        log_times::marks(&self.marks_path(id), from, to)
    }

    /// The side file with the times of a log.
    fn marks_path(&self, id: LogId) -> PathBuf {
        self.run_folder(id.run.0)
            .join(format!("{}-{}.times", id.position + 1, id.attempt))
    }

    fn segments(&self, id: LogId) -> io::Result<Vec<Segment>> {
        let prefix = format!("{}-{}.", id.position + 1, id.attempt);
        let entries = match fs::read_dir(self.run_folder(id.run.0)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut segments = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let start = name
                .to_str()
                .and_then(|n| n.strip_prefix(&prefix)?.strip_suffix(".log")?.parse().ok());
            if let Some(start) = start {
                segments.push(Segment {
                    start,
                    path: entry.path(),
                });
            }
        }
        segments.sort_by_key(|s| s.start);
        Ok(segments)
    }

    /// The length of a log in bytes as captured, dropped ones included; none where
    /// there is no such log.
    pub fn length(&self, id: LogId) -> io::Result<Option<u64>> {
        steady(|| match self.segments(id)?.last() {
            None => Ok(None),
            Some(last) => Ok(Some(last.start + fs::metadata(&last.path)?.len())),
        })
    }

    /// At most `most` bytes from `offset` on, all from one segment; empty at the end.
    /// If the byte at `offset` was dropped, reading continues at the next one kept.
    pub fn read(&self, id: LogId, offset: u64, most: usize) -> io::Result<Piece> {
        steady(|| self.read_once(id, offset, most))
    }

    /// The range that was dropped from the middle of a log, if any.
    pub fn gap(&self, id: LogId) -> io::Result<Option<Range<u64>>> {
        steady(|| {
            let segments = self.segments(id)?;
            let [first, second, ..] = segments.as_slice() else {
                return Ok(None);
            };
            let end = first.start + fs::metadata(&first.path)?.len();
            Ok((end < second.start).then_some(end..second.start))
        })
    }

    fn read_once(&self, id: LogId, offset: u64, most: usize) -> io::Result<Piece> {
        let nothing = Piece {
            offset,
            bytes: Vec::new(),
        };
        for segment in self.segments(id)? {
            let mut file = File::open(&segment.path)?;
            let end = segment.start + file.metadata()?.len();
            if end <= offset {
                continue;
            }
            let from = offset.max(segment.start);
            file.seek(SeekFrom::Start(from - segment.start))?;
            let mut bytes = Vec::new();
            file.take(most as u64).read_to_end(&mut bytes)?;
            return Ok(Piece {
                offset: from,
                bytes,
            });
        }
        Ok(nothing)
    }

    /// A new log for writing; an older one of the same name is removed. Its files are made with the first byte: a log
    /// without one has nothing to be kept, and a step that prints nothing does not wait for the disk.
    pub(super) fn create(&self, id: LogId) -> io::Result<LogWriter> {
        for old in self.segments(id)? {
            fs::remove_file(old.path)?;
        }
        Ok(LogWriter {
            store: self.clone(),
            id,
            open: None,
            names_synced: false,
            written: 0,
            segment_end: self.limit / 4,
            tail: VecDeque::new(),
        })
    }

    fn named(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the logs of runs; a log that cannot be removed is reported and costs only space.
    pub fn remove_runs(&self, runs: Vec<i64>) {
        for run in runs {
            if let Err(error) = self.remove_run(run) {
                tracing::warn!(run, %error, "the logs of a removed run stay behind");
            }
        }
    }

    /// Sets aside the logs of runs that are not among `known`: a crash came between the removal of the run and that
    /// of its logs, or an older snapshot was restored. To be called before the first run starts, since a new run may
    /// get the number of a stray one; [`Self::remove_set_aside`] takes the time for the removal.
    pub fn set_aside(&self, known: &HashSet<i64>) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let stray = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i64>().ok())
            .filter(|run| !known.contains(run));
        for run in stray {
            let aside = self.folder.join(format!("{ASIDE}{run}"));
            // One of the same number that an earlier start left behind.
            let _ = fs::remove_dir_all(&aside);
            if let Err(error) = fs::rename(self.run_folder(run), aside) {
                tracing::warn!(run, %error, "the logs of a removed run stay behind");
            }
        }
    }

    /// Removes the logs that [`Self::set_aside`] found.
    pub fn remove_set_aside(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(ASIDE))
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(folder = ?name, %error, "the logs of a removed run stay behind");
            }
        }
    }

    /// Reports if there is a log of any run.
    pub fn has_logs(&self) -> bool {
        let mut entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.any(|entry| {
            let name = entry.file_name();
            name.to_str()
                .is_some_and(|name| name.parse::<i64>().is_ok())
        })
    }

    /// Removes all logs of a run; one that has none is fine.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove_run(&self, run: i64) -> io::Result<()> {
        self.named().remove(&run);
        match fs::remove_dir_all(self.run_folder(run)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Looks again where a segment was dropped between listing and opening it.
fn steady<T>(look: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..8 {
        match look() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
    }
    look()
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Writes one log.
#[derive(Debug)]
pub(super) struct LogWriter {
    store: LogStore,
    id: LogId,
    /// The segment that is written to, and the marks; none before the first byte.
    open: Option<(File, MarkWriter)>,
    /// The names of all files are on the disk.
    names_synced: bool,
    written: u64,
    segment_end: u64,
    /// Segments after the first, oldest first; the last one is written to.
    tail: VecDeque<Segment>,
}

/// Segments kept after the first: with a quarter of the limit each, all of them and
/// the first make up the limit.
const TAIL_SEGMENTS: usize = 3;

impl LogWriter {
    /// Bytes written so far, dropped ones included.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The files of the log, made where this is its first byte.
    fn files(&mut self) -> io::Result<&mut (File, MarkWriter)> {
        if self.open.is_none() {
            fs::create_dir_all(self.store.run_folder(self.id.run.0))?;
            let head = new_file(&self.store.segment_path(self.id, 0))?;
            let marks = MarkWriter::create(&self.store.marks_path(self.id));
            self.open = Some((head, marks));
        }
        self.open
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Appends `bytes`, which were printed at `now`, dropping the oldest part after the beginning where the limit is passed.
    pub(super) fn write(&mut self, mut bytes: &[u8], now: DateTime<Utc>) -> io::Result<()> {
        let at = self.written;
        self.files()?.1.mark(at, now);
        while !bytes.is_empty() {
            if self.written == self.segment_end {
                self.rotate()?;
            }
            let room = usize::try_from(self.segment_end - self.written).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.files()?.0.write_all(now)?;
            self.written += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Puts all of the log on the disk, its name included. Without it a power cut minutes later empties the log of a
    /// step that was shown green.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some((file, marks)) = &self.open else {
            return Ok(());
        };
        file.sync_data()?;
        // Segments before the current one: the first, and those of the tail.
        if !self.tail.is_empty() {
            let first = self.store.segment_path(self.id, 0);
            let older = self.tail.iter().rev().skip(1).map(|segment| &segment.path);
            for path in older.chain([&first]) {
                File::open(path)?.sync_data()?;
            }
        }
        marks.sync();
        if self.names_synced {
            return Ok(());
        }
        let run = self.id.run.0;
        File::open(self.store.run_folder(run))?.sync_all()?;
        if !self.store.named().contains(&run) {
            File::open(&self.store.folder)?.sync_all()?;
            let mut named = self.store.named();
            named.insert(run);
            if named.len() > MOST_NAMED {
                named.pop_first();
            }
        }
        self.names_synced = true;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let segment = Segment {
            start: self.written,
            path: self.store.segment_path(self.id, self.written),
        };
        let file = new_file(&segment.path)?;
        self.files()?.0 = file;
        self.names_synced = false;
        self.segment_end = self.written + self.store.limit / 4;
        self.tail.push_back(segment);
        if self.tail.len() > TAIL_SEGMENTS
            && let Some(oldest) = self.tail.pop_front()
        {
            fs::remove_file(oldest.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lifecycle::RunId;
    use proptest::prelude::*;

    const ID: LogId = LogId {
        run: RunId(7),
        position: 0,
        attempt: 1,
    };

    fn read_all(store: &LogStore) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut offset = 0;
        loop {
            let piece = store.read(ID, offset, 10_000).unwrap();
            if piece.bytes.is_empty() {
                return pieces;
            }
            offset = piece.offset + piece.bytes.len() as u64;
            pieces.push(piece);
        }
    }

    #[test]
    fn offsets_mean_the_same_bytes_after_the_middle_was_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = LogStore::new(dir.path().into(), 64 * 1024);
        let mut writer = store.create(ID).unwrap();
        let byte = |offset: u64| (offset * 7 % 251) as u8;
        let total: u64 = 1_000_000;
        let all: Vec<u8> = (0..total).map(byte).collect();
        for chunk in all.chunks(1013) {
            writer.write(chunk, DateTime::UNIX_EPOCH).unwrap();
        }
        assert_eq!(store.length(ID).unwrap(), Some(total));
        let pieces = read_all(&store);
        for piece in &pieces {
            for (i, b) in piece.bytes.iter().enumerate() {
                assert_eq!(*b, byte(piece.offset + i as u64));
            }
        }
        let kept: usize = pieces.iter().map(|p| p.bytes.len()).sum();
        assert!(kept <= 64 * 1024, "{kept}");
        assert!(kept >= 48 * 1024, "{kept}");
        assert_eq!(pieces[0].offset, 0);
        let last = pieces.last().unwrap();
        assert_eq!(last.offset + last.bytes.len() as u64, total);
    }

    #[test]
    fn what_was_never_written_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let store = LogStore::new(dir.path().into(), 0);
        assert_eq!(store.length(ID).unwrap(), None);
        assert!(store.read(ID, 5, 10).unwrap().bytes.is_empty());
        store.remove_run(7).unwrap();
    }

    proptest! {
        #[test]
        fn below_the_limit_nothing_is_lost(chunks in prop::collection::vec(0usize..9000, 0..7)) {
            let dir = tempfile::tempdir().unwrap();
            let store = LogStore::new(dir.path().into(), 64 * 1024);
            let mut writer = store.create(ID).unwrap();
            let mut expected = Vec::new();
            for (i, len) in chunks.into_iter().enumerate() {
                let chunk = vec![i as u8; len];
                writer.write(&chunk, DateTime::UNIX_EPOCH).unwrap();
                expected.extend(chunk);
            }
            let got: Vec<u8> = read_all(&store).into_iter().flat_map(|p| p.bytes).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
