//! The transfer program and how it is run.

use serde::{Deserialize, Serialize};

use super::plain;
use crate::names::PlainPath;

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
    /// What is done where the kernel cannot confine it.
    pub landlock: Landlock,
    /// The ports that it may connect to by TCP; none listed, all.
    pub ports: Vec<u16>,
    /// Folders of this host that remotes lead to, such as a mounted disk.
    pub local_folders: Vec<PlainPath>,
    /// Files that `config` refers to and programs that it has rclone run.
    pub helpers: Vec<PlainPath>,
}

/// What is done where the kernel has no Landlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Landlock {
    /// Transfers are refused.
    Required,
    /// Transfers are done, and a warning is given with each.
    Preferred,
    /// Landlock is not used: for a program in rclone's place that needs more than rclone.
    Off,
}

/// How a program gets the source directory that was opened for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// A read-only bind mount in a mount namespace of the program's own, reached through a descriptor.
    /// No symbolic link in it can be followed; links are stored as `NAME.rclonelink`.
    Mount,
    /// The bare descriptor, for places where nothing can be mounted. rclone takes a source that is itself a
    /// link (as `/proc/self/fd/N` is) only without `--links`, so symbolic links are left out of the mirror.
    Descriptor,
}

impl Default for Rclone {
    fn default() -> Self {
        Self {
            program: plain("/usr/bin/rclone"),
            config: plain("/etc/backupctl/rclone.conf"),
            pin: Pin::Mount,
            transfers: 4,
            checkers: 8,
            landlock: Landlock::Preferred,
            ports: vec![443],
            local_folders: Vec::new(),
            helpers: Vec::new(),
        }
    }
}

impl Rclone {
    /// `private` are the folders that no remote may lead to, with the names of their keys.
    pub(super) fn check(&self, private: &[(&str, &PlainPath)]) -> Result<(), String> {
        for folder in &self.local_folders {
            if let Some((key, other)) = private.iter().find(|(_, other)| {
                folder.to_path_buf().starts_with(other.to_path_buf())
                    || other.to_path_buf().starts_with(folder.to_path_buf())
            }) {
                return Err(format!(
                    "rclone.local_folders: {folder} and {key} ({other}) lie one in the other; rclone may write to the one and must not reach the other"
                ));
            }
        }
        Ok(())
    }
}
