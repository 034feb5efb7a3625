//! The file `backupctl.toml` as a whole: the keys above all tables, its tables, and the checks of all of them.
//!
//! Invariant: see the crate; a fault is reported with its line and key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

use crate::account::Account;
use crate::capture::{Capture, CaptureCommands};
use crate::document::{Fault, Node};
use crate::key::{Section, plain, section};
use crate::lease::LeaseTerms;
use crate::limits::{Limits, OwnLimits};
use crate::rclone::Rclone;
use crate::rehearsal::Rehearsal;
use crate::retention::{MirrorTerms, Retention, Versions};
use crate::service::{Extra, Service};
use crate::set_aside::{self, SetAside};
use base::error::Failure;
use base::names::{PlainPath, Remote, ServiceName, TargetName};
use base::repair::Closed;
use base::trusted::{Trusted, read_trusted};

/// The default path of the configuration.
pub const DEFAULT_PATH: &str = "/etc/backupctl/backupctl.toml";

const MAX_BYTES: u64 = 256 * 1024;

/// The reason why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is missing, unreadable, or not safe to believe.
    #[error("{0}")]
    Unsafe(String),
    /// The file is not valid.
    #[error("{}: {detail}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The fault, with line and key.
        detail: String,
    },
    /// Neither root nor `--config`.
    #[error("without --config FILE the gate needs root; run it with sudo")]
    NeedsRoot,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

section! {
    /// Everything the administrator decided.
    Config is "", "";
    data_root: PlainPath = plain("/media/ssd/podman"), "The data of a service lies in `DATA_ROOT/SERVICE/data`; requests may name no other path.";
    state_dir: PlainPath = plain("/var/lib/backupctl"), "Leases of stopped services, and the home of the programs that the gate runs. Must survive a reboot. The gate creates this folder, `lock_dir` and `spool_dir` if they are missing, but not the folder above: that may be a disk to be mounted.";
    lock_dir: PlainPath = plain("/run/backupctl"), "One lock file for each service.";
    spool_dir: PlainPath = plain("/var/cache/backupctl"), "Archives are packed and checked here before they are uploaded. Needs room for the largest service and for `limits.spool_reserve`.";
    remotes: Vec<Remote> = Remote::parse("onedrive:/OdroidBackup").into_iter().collect(), "Remote folders that requests may name, exactly as written here.";
    podmanctl: PlainPath = plain("/usr/local/bin/podmanctl"), "The program that stops and starts the services that have no commands of their own.";
    early_start: bool = true, "The service starts again as soon as its data is captured, and does not wait for `--start` after the upload. Only the parts that `--stop` stopped are started. Only the table of a service can turn this off: `early_start = false` above all tables is the default of release 0.1, and counts as not set.";
    room_before_stop: bool = false, "If true, `--stop` first measures the room that an archive may need, and leaves the service up (exit code 73) when the spool has less than that besides `limits.spool_reserve`. Measuring looks at every name in the data, within the `--timeout` of the `--stop`. A service may have its own key of this name.";
    ask_before_stop: bool = true, "If true, a `--stop` over SSH first asks each remote with one cheap request, for at most 5 seconds in all, and leaves the service up when every remote says for certain that no backup can go there: the sign-in was revoked, the drive is full, rclone does not know the remote or has failed a write probe because it is too old. A remote that does not answer does not prevent the stop. A `--stop` on the host never asks.";
    audit_log: Option<PlainPath> = None, like "\"/var/log/backupctl.jsonl\"", "A file for a copy of every audit line as JSON, besides the journal. At 8 MiB it is renamed to `FILE.1`, and so on to `FILE.4`; older ones are removed.";
    + {
        /// The transfer program.
        rclone: Rclone = Rclone::default();
        /// The account behind the forced command; `--doctor` looks at it.
        account: Account = Account::default();
        /// Terms for captures of data.
        capture: Capture = Capture::default();
        /// For how long a backup may keep a service down.
        lease: LeaseTerms = LeaseTerms::default();
        /// Deadlines and dangerous quantities.
        limits: Limits = Limits::default();
        /// Numbers of archives to keep.
        retention: Retention = Retention::default();
        /// Ages and numbers of replaced and deleted files to keep.
        versions: Versions = Versions::default();
        /// Mirrors.
        mirror: MirrorTerms = MirrorTerms::default();
        /// Rehearsals of restores.
        rehearsal: Rehearsal = Rehearsal::default();
        /// The allow-list of services.
        services: BTreeMap<ServiceName, Service> = BTreeMap::new();
        /// The allow-list of extra directories.
        extra: BTreeMap<TargetName, Extra> = BTreeMap::new();
        /// The file that all this was read from, for the process that is to read it again.
        #[serde(skip)]
        file: Option<PathBuf> = None;
        /// Tables of services and extra targets with a name that cannot be used.
        #[serde(skip)]
        set_aside: Vec<SetAside> = Vec::new();
    }
}

impl Config {
    /// The configuration that the command line names, which must belong to this user, or that of the host.
    ///
    /// # Errors
    /// When there is none, another user could have written it, or it is not well formed.
    pub fn find(named: Option<PathBuf>) -> Result<Self, Failure> {
        let user = nix::unistd::geteuid();
        let (path, trusted) = match named {
            Some(path) => (path, Trusted { uid: user.as_raw() }),
            None if user.is_root() => (PathBuf::from(DEFAULT_PATH), Trusted { uid: 0 }),
            None => return Err(ConfigError::NeedsRoot.into()),
        };
        Ok(Self::load(&path, trusted)?)
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// Another user could have written it, or it is not well formed.
    pub fn load(path: &Path, trusted: Trusted) -> Result<Self, ConfigError> {
        let bytes =
            read_trusted(path, trusted, Closed::Writing, MAX_BYTES).map_err(ConfigError::Unsafe)?;
        let invalid = |detail| ConfigError::Invalid {
            path: path.to_owned(),
            detail,
        };
        let text = std::str::from_utf8(&bytes).map_err(|e| invalid(e.to_string()))?;
        let config = Self::parse(text).map_err(invalid)?;
        Ok(Self {
            file: Some(path.to_owned()),
            ..config
        })
    }

    /// Folder of a service's data.
    #[must_use]
    pub fn data_of(&self, service: &ServiceName) -> PlainPath {
        self.data_root.below(&[service.as_str(), "data"])
    }

    /// True if a service is started as soon as its data is captured, before the upload.
    #[must_use]
    pub fn starts_early(&self, service: &ServiceName) -> bool {
        let own = self.services.get(service).and_then(|one| one.early_start);
        own.unwrap_or(true)
    }

    /// True if the configuration still contains the default of release 0.1, `early_start = false`, which no longer
    /// counts.
    #[must_use]
    pub fn has_former_early_start(&self) -> bool {
        !self.early_start
    }

    /// True if `--stop` first makes sure that an archive would have room.
    #[must_use]
    pub fn asks_for_room(&self, service: &ServiceName) -> bool {
        self.services
            .get(service)
            .and_then(|service| service.room_before_stop)
            .unwrap_or(self.room_before_stop)
    }

    /// Seconds for which a service may stay down.
    #[must_use]
    pub fn lease_of(&self, service: &ServiceName) -> u32 {
        self.services
            .get(service)
            .and_then(|service| service.lease)
            .unwrap_or(self.lease.seconds)
    }

    /// The reason why a name of `list` is set aside.
    #[must_use]
    pub fn aside(&self, list: &str, name: &str) -> Option<&SetAside> {
        let mut aside = self.set_aside.iter();
        aside.find(|one| one.list == list && one.name == name)
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let mut root = DeTable::parse(text)?.into_inner();
        let set_aside = set_aside::take_out(&mut root);
        let config = Self::deserialize(Node::of(&DeValue::Table(root)))?;
        Ok(Self {
            set_aside,
            ..config
        })
    }

    /// Reads the text of a configuration.
    ///
    /// # Errors
    /// A sentence with the key that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config = Self::read(text).map_err(|fault| fault.one_line(text))?;
        for (name, service) in &config.services {
            service.check(name)?;
            if let Some(commands) = &service.capture {
                commands.check(name, &config.data_of(name))?;
            }
        }
        if config.remotes.is_empty() {
            return Err("remotes: name at least one, as in [\"onedrive:/OdroidBackup\"]".into());
        }
        config.check_ranges()?;
        config.account.check_ranges()?;
        config.capture.check_ranges()?;
        config.mirror.check_ranges()?;
        config.rehearsal.check_ranges()?;
        config.lease.check_ranges()?;
        config.limits.check()?;
        config.retention.check()?;
        let mut private = vec![
            ("data_root", &config.data_root),
            ("state_dir", &config.state_dir),
            ("lock_dir", &config.lock_dir),
            ("spool_dir", &config.spool_dir),
            ("rclone.config", &config.rclone.config),
        ];
        private.extend(config.extra.values().map(|extra| ("extra", &extra.path)));
        config.rclone.check(&private)?;
        config.versions.check()?;
        for (name, extra) in &config.extra {
            extra.check_ranges(&format!("extra.{name}"))?;
            extra.limits.check_ranges(&format!("extra.{name}.limits"))?;
        }
        Ok(config)
    }
}

/// The tables, except those of services and extra targets.
#[must_use]
pub fn sections() -> Vec<Section> {
    vec![
        Config::section(),
        Account::section(),
        Rclone::section(),
        Capture::section(),
        LeaseTerms::section(),
        Limits::section(),
        Retention::section(),
        Versions::section(),
        MirrorTerms::section(),
        Rehearsal::section(),
    ]
}

/// The tables of services and extra targets, with `NAME` in the place of a name.
#[must_use]
pub fn own_sections() -> Vec<Section> {
    vec![
        Service::section(),
        OwnLimits::section(),
        CaptureCommands::section(),
        Extra::section(),
    ]
}
