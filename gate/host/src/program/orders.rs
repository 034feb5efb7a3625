//! The orders from the gate to the second instance, and the numbers of the descriptors that it hands on.
//!
//! Invariant: both ends use these types, so that a stranger's words are no orders.

use serde::{Deserialize, Serialize};

use super::refusal::Token;
use privilege::Confinement;

/// The number under which a program finds the source directory.
pub const SOURCE_FD: i32 = 9;

/// The number under which a transfer finds the folder of its configuration.
pub const FOLDER_FD: i32 = 8;

/// The number under which a program finds the socket that it answers on, see sd_listen_fds(3).
pub const SOCKET_FD: i32 = 3;

/// The hidden first argument of the second instance.
pub const ENTRY: &str = "__exec";

/// The name of the mount point inside the directory behind [`SOURCE_FD`].
pub(super) const MOUNT_NAME: &str = "data";

/// Lifetime of a program against that of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tether {
    /// Dies with the gate. The gate ends its descendants or, if the gate was killed, the next gate does; see
    /// [`leftovers`](crate::leftovers).
    Tied,
    /// Its descendants are meant to stay: it brings a service up.
    Free,
}

/// The way in which a program gets the opened source directory.
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

/// Instructions for the second instance, as its one argument before the program's own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Orders {
    pub(super) gate: i32,
    pub(super) token: Token,
    pub(super) tether: Tether,
    pub(super) source: Option<SourceOrders>,
    /// A listening socket comes as standard input.
    #[serde(default)]
    pub(super) answers: bool,
    /// The folder of rclone's configuration.
    pub(super) configuration: Option<String>,
    pub(super) confinement: Option<Confinement>,
}

/// The directory itself comes as standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceOrders {
    pub(super) pin: Pin,
    pub(super) path: String,
    pub(super) mount_parent: String,
}
