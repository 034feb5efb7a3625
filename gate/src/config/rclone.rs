//! The transfer program and how it is run.

use serde::Deserialize;

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
