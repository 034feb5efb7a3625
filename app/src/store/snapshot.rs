//! Copies of the database while it is in use. A copy appears under its name when it is
//! complete and on the disk, never before.

use super::connection::{self, Mode};
use super::error::StoreError;
use super::snapshot_place;
use chrono::{DateTime, Utc};
use durable::Staged;
use rusqlite::Connection;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Copies made by the server that are kept; the oldest go.
pub const KEPT: usize = 10;

/// A copy in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Time of creation.
    pub at: DateTime<Utc>,
}

/// The reason why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be written.
    #[error("cannot write {path}: {why}", path = path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// The problem.
        why: String,
    },
}

/// Writes a consistent copy of the database at `live` to `target`; returns its size.
///
/// # Errors
/// Says which file cannot be written or read, and why.
pub fn write(live: &Path, target: &Path) -> Result<u64, SnapshotError> {
    let cannot = |error: &dyn std::fmt::Display| SnapshotError::Write {
        path: target.to_owned(),
        why: error.to_string(),
    };
    let Some(name) = target.file_name() else {
        return Err(cannot(&"it has no file name"));
    };
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let data = live.parent().unwrap_or(Path::new("."));
    snapshot_place::check(data, target).map_err(|error| cannot(&error))?;
    fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
    let mut partial = name.to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = Partial(folder.join(partial));
    partial.create().map_err(|error| cannot(&error))?;
    copy(live, &partial.0).map_err(|error| cannot(&error))?;
    partial
        .become_file(target, folder)
        .map_err(|error| cannot(&error))
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = connection::open(from, Mode::Reader)?;
    let mut target = Connection::open(to).map_err(|e| connection::explain(to, &e))?;
    let backup = rusqlite::backup::Backup::new(&source, &mut target)?;
    // One step copies all pages under one read lock; in WAL mode writers continue.
    backup.run_to_completion(i32::MAX, std::time::Duration::from_millis(50), None)?;
    drop(backup);
    // Before an older copy goes: a damaged one must not take its place.
    connection::quick_check(&target)
}

/// A file that is removed again unless it becomes the real one.
struct Partial(PathBuf);

impl Partial {
    /// Only its owner may read it: it holds the hashes of passwords and tokens.
    fn create(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&self.0).map(drop)
    }

    fn become_file(&self, target: &Path, folder: &Path) -> io::Result<u64> {
        let (Some(fresh), Some(name)) = (self.0.file_name(), target.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let file = File::open(&self.0)?;
        let bytes = file.metadata()?.len();
        Staged::written(File::open(folder)?.as_fd(), fresh.into(), file).place(name)?;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing of this name.
        let _ = fs::remove_file(&self.0);
        for end in ["-journal", "-wal", "-shm"] {
            let mut beside = self.0.clone().into_os_string();
            beside.push(end);
            let _ = fs::remove_file(beside);
        }
    }
}

/// Makes a copy in `folder` under the time `now`, and removes the oldest beyond [`KEPT`].
///
/// # Errors
/// As [`write()`].
pub fn take(live: &Path, folder: &Path, now: DateTime<Utc>) -> Result<SnapshotFile, SnapshotError> {
    let name = format!("lightflow-{}.db", now.format("%Y%m%dT%H%M%S%3fZ"));
    let bytes = write(live, &folder.join(&name))?;
    let dated = |file: &SnapshotFile| file.name.starts_with("lightflow-");
    let all = list(folder).unwrap_or_default();
    for old in all.iter().filter(|file| dated(file)).skip(KEPT) {
        // One that stays is tried again next time.
        let _ = fs::remove_file(folder.join(&old.name));
    }
    Ok(SnapshotFile {
        name,
        bytes,
        at: now,
    })
}

/// The copies in `folder`, newest first.
pub fn list(folder: &Path) -> io::Result<Vec<SnapshotFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if metadata.is_file() && is_name(&name) {
            files.push(SnapshotFile {
                bytes: metadata.len(),
                at: metadata.modified()?.into(),
                name,
            });
        }
    }
    files.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.name.cmp(&a.name)));
    Ok(files)
}

/// Reports if a file of this name can be a copy: one component, `….db`.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.ends_with(".db") && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_copies_are_kept_and_no_path_is_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("live.db");
        crate::store::Store::open(&live).unwrap();
        let folder = dir.path().join("backup");
        for n in 0..KEPT as i64 + 2 {
            let now = DateTime::from_timestamp(1_790_000_000 + n, 0).unwrap();
            take(&live, &folder, now).unwrap();
        }
        write(&live, &folder.join("lightflow.db")).unwrap();
        let files = list(&folder).unwrap();
        assert_eq!(files.len(), KEPT + 1);
        assert!(
            !files.iter().any(|file| file.name.contains("T131320")),
            "{files:?}"
        );
        for bad in ["../secret.key", "a/b.db", ".db", "secret.key", "a\0.db"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
