//! The record of the installer: an upgrade uses it to tell its own files from those of others, and a removal to find
//! the files to remove.
//!
//! The record is written before the first change, with the present and the coming state, and again after the last one:
//! after a run that was cut short the next run still knows its own files.
//!
//! Invariant: a file is ours when its path is known and its digest is one of those that we gave it.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Change;
use super::eyes::Eyes;
use archive::digest::Hasher;
use serde::{Deserialize, Serialize};

/// Path of the record.
pub(super) const PATH: &str = "/var/lib/backupctl/install.json";

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The version that was installed.
    pub(super) version: String,
    /// User of the runner's container.
    pub(super) user: String,
    /// Folder of the services' data.
    pub(super) data_root: String,
    /// Files, with the digests that they may have.
    pub(super) files: BTreeMap<String, BTreeSet<String>>,
    /// Accounts that were made here.
    pub(super) accounts: BTreeSet<String>,
    /// True if the configuration was moved to the rclone of the release, or began with it.
    pub(super) rclone_moved: bool,
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    let mut sum = Hasher::default();
    sum.update(bytes);
    sum.finish().to_string()
}

impl Record {
    /// The record of this host; none before the first installation.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub(super) fn load(eyes: &dyn Eyes) -> Result<Option<Self>, String> {
        let text = eyes.text(PATH);
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(text.as_bytes())
            .map(Some)
            .map_err(|error| {
                format!("{PATH} cannot be read: {error}; move it away, and install with --import")
            })
    }

    /// True if the installer wrote these bytes there.
    pub(super) fn owns(&self, path: &str, bytes: &[u8]) -> bool {
        self.files
            .get(path)
            .is_some_and(|known| known.contains(&digest(bytes)))
    }

    /// The record with the changes of a plan added.
    pub(super) fn with(&self, plan: &[Change]) -> Self {
        let mut record = self.clone();
        for change in plan {
            match change {
                Change::File(file) | Change::SecondName(file, _) if !file.theirs => {
                    let known = record.files.entry(file.path.display().to_string());
                    known.or_default().insert(digest(&file.bytes));
                }
                Change::Account { name, .. } => drop(record.accounts.insert(name.clone())),
                _ => {}
            }
        }
        record
    }

    /// Only the present state: the one digest of each file.
    pub(super) fn settled(
        mut self,
        eyes: &dyn Eyes,
        resolve: impl Fn(&str) -> Option<String>,
    ) -> Self {
        self.files.retain(|path, known| {
            let seen = resolve(path).and_then(|path| eyes.look(std::path::Path::new(&path)));
            let Some(now) = seen.as_ref().and_then(super::eyes::Seen::bytes).map(digest) else {
                return false;
            };
            known.retain(|digest| *digest == now);
            !known.is_empty()
        });
        self
    }

    /// For the disk.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ours_by_its_bytes_and_not_by_its_name() {
        let mut record = Record::default();
        record
            .files
            .entry("/a".into())
            .or_default()
            .insert(digest(b"ours"));
        assert!(record.owns("/a", b"ours"));
        assert!(!record.owns("/a", b"changed"));
        assert!(!record.owns("/b", b"ours"));
    }

    #[test]
    fn it_survives_the_disk() {
        let record = Record {
            version: "1".into(),
            ..Record::default()
        };
        let read: Record = serde_json::from_slice(&record.bytes()).unwrap();
        assert_eq!(read, record);
    }
}
