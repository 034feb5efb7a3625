//! The last versions of each script, beside the folder of scripts, where no step writes.
//!
//! Invariant: the newest version is the text that was saved last, and a version never changes.

use crate::domain::names::ScriptName;
use chrono::{DateTime, Utc};
use durable::Staged;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Versions kept of each script.
pub const KEPT: usize = 20;

/// A version as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts up with each save.
    pub number: u64,
    /// Size in bytes.
    pub size: u64,
    /// Time of saving.
    pub saved_at: DateTime<Utc>,
}

/// The versions of all scripts.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    folder: PathBuf,
}

impl Versions {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The versions of a script, newest first.
    pub(super) fn list(&self, name: &ScriptName) -> io::Result<Vec<Version>> {
        let entries = match fs::read_dir(self.folder.join(name.as_str())) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut versions = Vec::new();
        for entry in entries {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|n| n.parse().ok());
            if let Some(number) = number {
                let metadata = entry.metadata()?;
                versions.push(Version {
                    number,
                    size: metadata.len(),
                    saved_at: metadata.modified()?.into(),
                });
            }
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        Ok(versions)
    }

    /// The bytes of a version; none where it is not kept.
    pub(super) fn read(&self, name: &ScriptName, number: u64) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name, number)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Adds a version, unless the newest one is the same, and lets the oldest go.
    pub(super) fn record(&self, name: &ScriptName, bytes: &[u8]) -> io::Result<()> {
        let versions = self.list(name)?;
        let newest = versions.first().map_or(0, |version| version.number);
        if newest > 0 && self.read(name, newest)?.as_deref() == Some(bytes) {
            return Ok(());
        }
        let folder = self.folder.join(name.as_str());
        fs::create_dir_all(&folder)?;
        let place = self.path(name, newest + 1);
        let place = place.file_name().and_then(|name| name.to_str());
        let place = place.ok_or(ErrorKind::InvalidInput)?;
        Staged::write(File::open(&folder)?.as_fd(), ".new".into(), bytes)?.place(place)?;
        for old in versions.iter().skip(KEPT - 1) {
            fs::remove_file(self.path(name, old.number))?;
        }
        Ok(())
    }

    /// Keeps the last text that came from outside and was replaced. It is no version.
    pub(super) fn keep_outside(&self, name: &ScriptName, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder.join(name.as_str());
        fs::create_dir_all(&folder)?;
        Staged::write(File::open(&folder)?.as_fd(), ".new".into(), bytes)?.place("outside")
    }

    /// Forgets all versions of a script.
    pub(super) fn remove(&self, name: &ScriptName) -> io::Result<()> {
        match fs::remove_dir_all(self.folder.join(name.as_str())) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// The file that says that the files of an older version were looked at.
    fn mark_path(&self) -> PathBuf {
        self.folder.join(".adopted")
    }

    pub(super) fn has_mark(&self) -> bool {
        self.mark_path().exists()
    }

    pub(super) fn mark(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        File::create(self.mark_path())?.sync_all()
    }

    fn path(&self, name: &ScriptName, number: u64) -> PathBuf {
        self.folder.join(name.as_str()).join(number.to_string())
    }
}
