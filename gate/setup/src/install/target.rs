//! The host of an installation: the given options, the former installation, and the values that follow from both.
//!
//! Invariant: a value without an option comes from the former installation, or else from the tutorial.

use std::path::{Path, PathBuf};

use super::change::{Change, NewFile, Owner, Proof, resolved};
use super::eyes::{Eyes, Kind, Seen};
use super::options::Options;
use super::record::Record;
use super::release::Release;
use base::names::PlainPath;
use config::Config;

/// The account behind the forced command, in files of the release as well.
pub(super) const ACCOUNT: &str = "backup_ops";

/// Default user of the runner's container.
const USER: &str = "lightflow";

/// Folder of the gate's programs.
pub(super) const PROGRAMS: &str = "/usr/local/bin";

/// Folder of the gate's configuration.
pub(super) const CONFIGURATION: &str = "/etc/backupctl";

/// Input of a plan.
pub(super) struct Target<'a> {
    /// The host.
    pub(super) eyes: &'a dyn Eyes,
    /// The release to install.
    pub(super) release: &'a Release,
    /// Record of the former installation.
    pub(super) record: Record,
    /// The given options.
    pub(super) options: &'a Options,
    /// The host's own configuration of the gate, where there is one.
    pub(super) config: Option<Config>,
    /// User of the runner's container.
    pub(super) user: String,
    /// Folder of the services' data.
    pub(super) data_root: PlainPath,
}

impl<'a> Target<'a> {
    /// Combines the options, the record and the defaults.
    pub(super) fn new(
        eyes: &'a dyn Eyes,
        release: &'a Release,
        options: &'a Options,
        record: Option<Record>,
        config: Option<Config>,
    ) -> Self {
        let record = record.unwrap_or_default();
        let default = Config::default();
        let said = |text: &String| (!text.is_empty()).then(|| text.clone());
        let user = options.user.clone().or_else(|| said(&record.user));
        let of_config = config.as_ref().map(|config| config.data_root.clone());
        let data_root = of_config
            .or_else(|| options.data_root.clone())
            .unwrap_or(default.data_root);
        Self {
            eyes,
            release,
            record,
            options,
            user: user.unwrap_or_else(|| USER.to_owned()),
            data_root,
            config,
        }
    }

    /// The group of the runner's user, which is made together with him.
    pub(super) fn group(&self) -> String {
        let person = self.eyes.person(&self.user);
        person.map_or_else(|| self.user.clone(), |person| person.group)
    }

    /// The entry at a path that may contain a user's number.
    pub(super) fn look(&self, path: &Path) -> Option<Seen> {
        let uid = |name: &str| self.eyes.person(name).map(|person| person.uid);
        resolved(path, uid)
            .ok()
            .and_then(|path| self.eyes.look(&path))
    }

    /// A directory that has to be exactly so.
    pub(super) fn folder(
        &self,
        path: impl Into<PathBuf>,
        owner: Owner,
        mode: u32,
    ) -> Option<Change> {
        let path = path.into();
        let right = self.look(&path).is_some_and(|seen| {
            seen.kind == Kind::Folder
                && seen.user == owner.user
                && seen.group == owner.group
                && seen.mode == mode
        });
        (!right).then_some(Change::Folder { path, owner, mode })
    }

    /// Directories of root's that only have to be there.
    pub(super) fn parents(&self, path: &Path) -> Vec<Change> {
        let above: Vec<&Path> = path.ancestors().skip(1).collect();
        above
            .into_iter()
            .rev()
            .filter(|level| self.look(level).is_none())
            .map(|level| Change::Folder {
                path: level.to_owned(),
                owner: Owner::root(),
                mode: 0o755,
            })
            .collect()
    }

    /// A file of ours.
    pub(super) fn file(
        &self,
        path: impl Into<PathBuf>,
        bytes: &[u8],
        mode: u32,
        proof: Proof,
    ) -> Option<Change> {
        let path = path.into();
        let owner = Owner::root();
        let seen = self.look(&path);
        let keep = match &seen {
            None => false,
            Some(seen) => match seen.bytes() {
                Some(now) if now == bytes => {
                    let right =
                        seen.user == owner.user && seen.group == owner.group && seen.mode == mode;
                    return (!right).then_some(Change::Tighten { path, owner, mode });
                }
                Some(now) => !self.record.owns(&path.display().to_string(), now),
                None => true,
            },
        };
        Some(Change::File(NewFile {
            path,
            bytes: bytes.to_vec(),
            owner,
            mode,
            proof,
            keep,
            theirs: false,
        }))
    }

    /// A file that is the administrator's once it is there.
    pub(super) fn first(
        &self,
        path: impl Into<PathBuf>,
        bytes: Vec<u8>,
        mode: u32,
    ) -> Option<Change> {
        let path = path.into();
        self.look(&path).is_none().then(|| {
            Change::File(NewFile {
                path,
                bytes,
                owner: Owner::root(),
                mode,
                proof: Proof::None,
                keep: false,
                theirs: true,
            })
        })
    }

    /// True if a file at a path was not written by this installer.
    pub(super) fn is_strangers(&self, path: &str) -> bool {
        let seen = self.look(Path::new(path));
        seen.is_some_and(|seen| {
            !seen
                .bytes()
                .is_some_and(|bytes| self.record.owns(path, bytes))
        })
    }
}
