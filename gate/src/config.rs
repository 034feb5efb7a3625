//! The configuration: what the host's administrator allows.
//!
//! Invariant: a [`Config`] cannot exist wrong. It was read through descriptors from a file that nobody but
//! root (or, with `--config`, the user who runs the gate) could have written, unknown keys were refused, and
//! every name and path in it fits its own grammar.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::host::dirfd::{Trusted, read_trusted};
use crate::names::{PlainPath, Remote, ServiceName, TargetName};

/// Where the configuration is when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/backupctl/backupctl.toml";

const MAX_BYTES: u64 = 256 * 1024;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is missing, unreadable, or not safe to believe.
    #[error("{0}")]
    Unsafe(String),
    /// The file is not what it should be.
    #[error("{}: {detail}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and key.
        detail: String,
    },
    /// Neither root nor `--config`.
    #[error("without --config FILE the gate needs root; run it with sudo")]
    NeedsRoot,
}

/// Everything the administrator decided.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Services keep their data in `<data_root>/<service>/data`.
    pub data_root: PlainPath,
    /// Records of what was stopped, and the home of the programs that are run.
    pub state_dir: PlainPath,
    /// One lock file a service.
    pub lock_dir: PlainPath,
    /// Archives are packed and checked here before they are uploaded.
    pub spool_dir: PlainPath,
    /// Remote folders that requests may name.
    pub remotes: Vec<Remote>,
    /// The program that stops and starts services without commands of their own.
    pub podmanctl: PlainPath,
    /// A file that gets a copy of every audit line, as JSON.
    pub audit_log: Option<PlainPath>,
    /// The transfer program.
    pub rclone: Rclone,
    /// Deadlines and dangerous quantities.
    pub limits: Limits,
    /// How many archives are kept.
    pub retention: Retention,
    /// The allow-list of services.
    pub services: BTreeMap<ServiceName, Service>,
    /// The allow-list of extra directories.
    pub extra: BTreeMap<TargetName, Extra>,
}

/// The transfer program and how it is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rclone {
    /// Absolute path of the program.
    pub program: PlainPath,
    /// Its configuration, which stays writable for it: the token rotates.
    pub config: PlainPath,
    /// How the source directory is handed over.
    pub pin: Pin,
    /// Files transferred at the same time.
    pub transfers: u8,
    /// Files compared at the same time.
    pub checkers: u8,
}

/// How a program gets the source directory that was opened for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// A read-only bind mount in a mount namespace of the program's own, reached through a descriptor.
    /// No symbolic link in it can be followed; links are stored as `NAME.rclonelink`.
    Mount,
    /// The bare descriptor, for places where nothing can be mounted. rclone takes a source that is itself a
    /// link (as `/proc/self/fd/N` is) only without `--links`, so symbolic links are left out of the mirror.
    Descriptor,
}

/// A deadline for requests that bring none, and the longest one that a request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// In seconds.
    pub default: u32,
    /// In seconds.
    pub max: u32,
}

/// Deadlines and dangerous quantities.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// For `--stop`.
    pub stop: Timeout,
    /// For `--start`.
    pub start: Timeout,
    /// For `--sync` and `--sync-extra`.
    pub sync: Timeout,
    /// For `--archive`.
    pub archive: Timeout,
    /// A sync that would delete more files than this is stopped.
    pub max_delete: u32,
}

/// How many archives are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Weeks, when the request does not say.
    pub keep_weekly: u32,
    /// Months, when the request does not say.
    pub keep_monthly: u32,
    /// No request may keep fewer weeks.
    pub floor_weekly: u32,
    /// No request may keep fewer months.
    pub floor_monthly: u32,
}

/// One service of the allow-list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Stops it. All three, or none for podmanctl.
    pub stop: Option<CommandLine>,
    /// Starts it.
    pub start: Option<CommandLine>,
    /// Exits 0 when it is up and 3 when it is down.
    pub status: Option<CommandLine>,
    /// The user whose systemd runs it, when that is not root.
    pub user: Option<ServiceName>,
    /// Copied while it runs, never stopped. `lightflow` is, unless this says otherwise.
    pub hot: Option<bool>,
}

/// A directory of the host that is mirrored on its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Where it is.
    pub path: PlainPath,
}

/// A program by absolute path, and its arguments. There is no shell that could read them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// Program and arguments.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for CommandLine {
    type Error = String;
    fn try_from(argv: Vec<String>) -> Result<Self, String> {
        match argv.first() {
            None => Err("an empty list; name a program".into()),
            Some(program) if !program.starts_with('/') => {
                Err(format!("'{program}' is not an absolute path of a program"))
            }
            Some(_) if argv.iter().any(|word| word.chars().any(char::is_control)) => {
                Err("an argument holds a control character".into())
            }
            Some(_) => Ok(Self(argv)),
        }
    }
}

/// How a service is controlled.
#[derive(Debug, Clone, Copy)]
pub enum Control<'a> {
    /// By commands of its own.
    Commands {
        /// Stops it.
        stop: &'a CommandLine,
        /// Starts it.
        start: &'a CommandLine,
        /// Says whether it is up.
        status: &'a CommandLine,
    },
    /// By podmanctl.
    Podmanctl,
}

impl Service {
    /// How it is controlled; [`Config::load`] has seen to it that this is clear.
    #[must_use]
    pub fn control(&self) -> Control<'_> {
        match (&self.stop, &self.start, &self.status) {
            (Some(stop), Some(start), Some(status)) => Control::Commands {
                stop,
                start,
                status,
            },
            _ => Control::Podmanctl,
        }
    }

    /// Whether it is copied while it runs.
    #[must_use]
    pub fn is_hot(&self, name: &ServiceName) -> bool {
        self.hot.unwrap_or(name.as_str() == "lightflow")
    }
}

fn plain(path: &str) -> PlainPath {
    // Constants of this file, each covered by `defaults_are_well_formed`.
    PlainPath::parse(path).unwrap_or_else(|_| unreachable!("{path}"))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_root: plain("/media/ssd/podman"),
            state_dir: plain("/var/lib/backupctl"),
            lock_dir: plain("/run/backupctl"),
            spool_dir: plain("/var/cache/backupctl"),
            remotes: Remote::parse("onedrive:/OdroidBackup")
                .into_iter()
                .collect(),
            podmanctl: plain("/usr/local/bin/podmanctl"),
            audit_log: None,
            rclone: Rclone::default(),
            limits: Limits::default(),
            retention: Retention::default(),
            services: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }
}

impl Default for Rclone {
    fn default() -> Self {
        Self {
            program: plain("/usr/bin/rclone"),
            config: plain("/etc/backupctl/rclone.conf"),
            pin: Pin::Mount,
            transfers: 4,
            checkers: 8,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stop: Timeout {
                default: 120,
                max: 900,
            },
            start: Timeout {
                default: 300,
                max: 1800,
            },
            sync: Timeout {
                default: 3600,
                max: 86_400,
            },
            archive: Timeout {
                default: 3600,
                max: 86_400,
            },
            max_delete: 1000,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep_weekly: 3,
            keep_monthly: 12,
            floor_weekly: 2,
            floor_monthly: 3,
        }
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When somebody else could have written it, or it is not well formed.
    pub fn load(path: &Path, trusted: Trusted) -> Result<Self, ConfigError> {
        let bytes = read_trusted(path, trusted, MAX_BYTES).map_err(ConfigError::Unsafe)?;
        let invalid = |detail| ConfigError::Invalid {
            path: path.to_owned(),
            detail,
        };
        let text = std::str::from_utf8(&bytes).map_err(|e| invalid(e.to_string()))?;
        Self::parse(text).map_err(invalid)
    }

    /// Reads the text of a configuration.
    ///
    /// # Errors
    /// A sentence with the key that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|e| {
            // On one line, as everything the gate says.
            e.to_string().trim_end().replace('\n', "; ")
        })?;
        for (name, service) in &config.services {
            let given = [&service.stop, &service.start, &service.status];
            let count = given.iter().filter(|command| command.is_some()).count();
            if count != 0 && count != 3 {
                return Err(format!(
                    "services.{name}: give stop, start and status together, or none of them for podmanctl"
                ));
            }
            if name.as_str() == "extra" {
                return Err("services.extra: the folder extra/ on the remote belongs to the extra targets; rename the service".into());
            }
        }
        if config.remotes.is_empty() {
            return Err("remotes: name at least one, as in [\"onedrive:/OdroidBackup\"]".into());
        }
        let limits = &config.limits;
        for (key, timeout) in [
            ("stop", limits.stop),
            ("start", limits.start),
            ("sync", limits.sync),
            ("archive", limits.archive),
        ] {
            if timeout.default == 0 || timeout.default > timeout.max {
                return Err(format!(
                    "limits.{key}: default must be at least 1 and at most max"
                ));
            }
        }
        let retention = &config.retention;
        if retention.floor_weekly == 0 && retention.floor_monthly == 0 {
            return Err("retention: floor_weekly and floor_monthly cannot both be 0".into());
        }
        if retention.keep_weekly < retention.floor_weekly
            || retention.keep_monthly < retention.floor_monthly
        {
            return Err(
                "retention: keep_weekly and keep_monthly cannot be below their floors".into(),
            );
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_well_formed() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.remotes.len(), 1);
        assert_eq!(config.data_root.to_string(), "/media/ssd/podman");
    }

    #[test]
    fn the_shipped_example_parses_and_names_only_defaults() {
        let config = Config::parse(include_str!("../backupctl.example.toml")).unwrap();
        assert!(
            config
                .services
                .keys()
                .any(|name| name.as_str() == "vaultwarden")
        );
        assert_eq!(config.limits.stop, Limits::default().stop);
        assert_eq!(config.data_root, Config::default().data_root);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, word: &str| {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(word), "{text} → {error}");
        };
        check("unknown = 1", "unknown");
        check("[services.a]\nstopp = []", "stopp");
        check("[services.a]\nstop = [\"/bin/true\"]", "services.a");
        check("[services.a]\nstop = [\"true\"]\n", "absolute");
        check("[services.extra]", "services.extra");
        check("[services.\"../x\"]", "../x");
        check("data_root = \"/a/../b\"", "/a/../b");
        check("remotes = []", "remotes");
        check("remotes = [\":local:/etc\"]", ":local:/etc");
        check("[limits.stop]\ndefault = 0\nmax = 5", "limits.stop");
        check("[retention]\nfloor_weekly = 0\nfloor_monthly = 0", "floor");
        check("[retention]\nkeep_weekly = 1", "floors");
    }

    #[test]
    fn lightflow_is_hot_unless_told_otherwise() {
        let config = Config::parse("[services.lightflow]\n[services.n8n]").unwrap();
        let hot: Vec<bool> = config.services.iter().map(|(n, s)| s.is_hot(n)).collect();
        assert_eq!(hot, [true, false]);
    }
}
