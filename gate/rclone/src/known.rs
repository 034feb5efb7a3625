//! Facts about the installed rclone that are remembered between actions: its version, and the results of write probes.
//!
//! Invariant: a fact applies only to the exact file it was learned from, and a probe only to the same configuration of
//! the remote. An unreadable memory counts as empty: every fact can be learned again.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::credentials::backends::describe;
use crate::credentials::ini::Ini;
use crate::version::Version;
use base::durable;
use sha2::{Digest as _, Sha256};

/// The name of the file in the state folder.
const FILE: &str = "rclone.json";

/// The size limit: the gate writes no larger file.
const LIMIT: u64 = 1 << 16;

/// The state of a program's file, used to recognise the file.
type ProgramStamp = (u64, u64, u64, i64, i64, i64, i64);

/// The facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    program: String,
    stamp: ProgramStamp,
    /// The first line of `rclone version`.
    version: String,
    /// The probes, with the name of the remote as key.
    probes: BTreeMap<String, Probed>,
}

/// A write probe of one remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Probed {
    /// SHA-256 of the remote's configuration without tokens.
    configuration: String,
    works: bool,
}

fn stamp(seen: &Metadata) -> ProgramStamp {
    (
        seen.dev(),
        seen.ino(),
        seen.size(),
        seen.mtime(),
        seen.mtime_nsec(),
        seen.ctime(),
        seen.ctime_nsec(),
    )
}

fn digest(ini: &Ini<'_>, name: &str) -> String {
    let sum = Sha256::digest(describe(ini, name).as_bytes());
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Known {
    /// Loads the facts about this program; empty if the file was replaced since.
    #[must_use]
    pub fn load(folder: impl AsFd, program: &str, seen: &Metadata) -> Self {
        let bytes = durable::read(folder, FILE, LIMIT).ok().flatten();
        let known: Self = bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        if known.program == program && known.stamp == stamp(seen) {
            return known;
        }
        Self {
            program: program.to_owned(),
            stamp: stamp(seen),
            ..Self::default()
        }
    }

    /// Writes the facts to the disk.
    ///
    /// # Errors
    /// When the disk cannot store them.
    pub fn save(&self, folder: impl AsFd) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        durable::replace(folder, FILE, &bytes)
    }

    /// The version, if it is known.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        Version::parse(&self.version)
    }

    /// True when the program was already asked for its version.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        !self.version.is_empty()
    }

    /// Stores the first line of the program's version output.
    pub fn set_version(&mut self, said: &str) {
        let line = said.lines().next().unwrap_or_default();
        self.version = line.chars().take(200).collect();
    }

    /// The result of a write probe of this remote; `None` without a probe.
    #[must_use]
    pub fn probed(&self, ini: &Ini<'_>, name: &str) -> Option<bool> {
        let probed = self.probes.get(name)?;
        (probed.configuration == digest(ini, name)).then_some(probed.works)
    }

    /// Stores the result of a write probe.
    pub fn set_probed(&mut self, ini: &Ini<'_>, name: &str, works: bool) {
        let probed = Probed {
            configuration: digest(ini, name),
            works,
        };
        self.probes.insert(name.to_owned(), probed);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn facts_are_about_one_file_and_one_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let fd = File::open(folder.path()).unwrap();
        let program = folder.path().join("rclone");
        fs::write(&program, "one").unwrap();
        let load = || Known::load(&fd, "/p", &fs::metadata(&program).unwrap());
        let ini = Ini::parse("[r]\ntype = onedrive\ntoken = a\n");
        let mut known = load();
        assert!(!known.was_asked() && known.probed(&ini, "r").is_none());
        known.set_version("rclone v1.60.1-DEV\nmore\n");
        known.set_probed(&ini, "r", false);
        known.save(&fd).unwrap();
        let known = load();
        assert_eq!(known.version().unwrap().to_string(), "1.60.1");
        // A new token keeps the result; another drive does not.
        let renewed = Ini::parse("[r]\ntype = onedrive\ntoken = b\n");
        assert_eq!(known.probed(&renewed, "r"), Some(false));
        let other = Ini::parse("[r]\ntype = onedrive\ndrive_id = 2\n");
        assert_eq!(known.probed(&other, "r"), None);
        fs::write(&program, "another").unwrap();
        assert_eq!(load().version(), None);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(!load().was_asked());
    }
}
