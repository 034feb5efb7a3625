//! Facts about the installed rclone that are remembered between actions: its version, and how write probes ended.
//!
//! Invariant: a fact counts only for the very file that it was learned of, and a probe only for the remote as it was
//! configured then. A memory that cannot be read is as good as none: everything in it can be learned again.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::Version;
use crate::archive::digest::Hasher;
use crate::credentials::backends::describe;
use crate::credentials::ini::Ini;
use crate::host::durable;

/// The name of the file in the state folder.
const FILE: &str = "rclone.json";

/// Larger ones are not the gate's.
const LIMIT: u64 = 1 << 16;

/// The state of a program's file, by which it is known again.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

/// The facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    program: String,
    stamp: Stamp,
    /// The first line of `rclone version`.
    version: String,
    /// By the name of a remote.
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

fn stamp(seen: &Metadata) -> Stamp {
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
    let mut sum = Hasher::default();
    sum.update(describe(ini, name).as_bytes());
    sum.finish().to_string()
}

impl Known {
    /// The facts about this program; none where the file was replaced since.
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

    /// Puts them on the disk.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn save(&self, folder: impl AsFd) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        durable::replace(folder, FILE, &bytes)
    }

    /// The version, where it is known.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        Version::parse(&self.version)
    }

    /// True when the program was asked for its version already.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        !self.version.is_empty()
    }

    /// Keeps the first line that the program said of itself.
    pub fn set_version(&mut self, said: &str) {
        let line = said.lines().next().unwrap_or_default();
        self.version = line.chars().take(200).collect();
    }

    /// The result of a write probe of this remote; `None` where there was none.
    #[must_use]
    pub fn probed(&self, ini: &Ini<'_>, name: &str) -> Option<bool> {
        let probed = self.probes.get(name)?;
        (probed.configuration == digest(ini, name)).then_some(probed.works)
    }

    /// Keeps how a write probe ended.
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
        // A new token changes nothing, another drive does.
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
