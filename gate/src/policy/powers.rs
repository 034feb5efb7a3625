//! The capabilities that the gate keeps of root's, for each order and stage.
//!
//! Invariant: a later stage keeps no more than the one before it.

use caps::Capability;

use super::Order;
use crate::config::Config;
use crate::names::ServiceName;
use crate::privilege::capabilities::Children;
use crate::request::Target;

/// For rclone: to read foreign files (`DAC_READ_SEARCH`), to make the mount through which it sees its source
/// (`SYS_ADMIN`), to drop capabilities in a child (`SETPCAP`), and to give its configuration back its group (`CHOWN`).
const TRANSFER: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
];

/// For commands of the administrator: to end those that changed their user (`KILL`), and to find those that a killed
/// gate left behind by their environment, which is closed to whoever has less than they have (`SYS_PTRACE`).
const SERVICE: &[Capability] = &[Capability::CAP_KILL, Capability::CAP_SYS_PTRACE];

/// The same, and to measure the data of a service before it is stopped (`DAC_READ_SEARCH`).
const MEASURE: &[Capability] = &[
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_KILL,
    Capability::CAP_SYS_PTRACE,
];

/// As [`MEASURE`], and to ask remotes before: rclone's configuration gets its group back (`CHOWN`).
const ASK: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_KILL,
    Capability::CAP_SYS_PTRACE,
];

/// For an rclone that fetches, and sees nothing of this host.
const FETCH: &[Capability] = &[Capability::CAP_CHOWN, Capability::CAP_SETPCAP];

/// To make files as they were: in folders of others (`DAC_OVERRIDE`), whosever they are (`CHOWN`, `FOWNER`, `FSETID`),
/// with the attributes of programs (`SETFCAP`) and of root (`SYS_ADMIN`).
const RESTORE: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
];

/// The same, and to stop and start a service meanwhile.
const REPLACE: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_PTRACE,
];

/// As [`BOTH`], and to put away what an interrupted restore left, in folders of others.
const RECOVER: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_KILL,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_PTRACE,
];

/// For both.
const BOTH: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_KILL,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_PTRACE,
];

/// What the gate keeps at first, while it looks after services that are due. What goes here is gone for good.
#[must_use]
pub fn at_first(order: Option<&Order>) -> (&'static [Capability], Children) {
    match order {
        Some(Order::Restore(_) | Order::Recover { .. }) => (REPLACE, Children::Root),
        _ => (BOTH, Children::Root),
    }
}

/// The capabilities of a stop once the remotes were asked.
#[must_use]
pub fn once_asked(config: &Config, service: &ServiceName) -> (&'static [Capability], Children) {
    let kept = if config.asks_for_room(service) {
        MEASURE
    } else {
        SERVICE
    };
    (kept, Children::Root)
}

/// What the gate keeps of that once nothing is left to be measured.
#[must_use]
pub fn once_measured() -> (&'static [Capability], Children) {
    (SERVICE, Children::Root)
}

/// The capabilities of an archive whose data was read, where the gate starts no service.
#[must_use]
pub fn once_read() -> (&'static [Capability], Children) {
    (TRANSFER, Children::Same)
}

/// What the gate itself keeps while it carries out an order, and what its children may have. The commands of services
/// regain what root has: nobody knows what a service needs at its start.
#[must_use]
pub fn of(order: &Order, config: &Config) -> (&'static [Capability], Children) {
    match order {
        Order::List { .. } | Order::Sync(_) => (TRANSFER, Children::Same),
        // The service is asked again when its data was read.
        Order::Archive(archive) if !archive.hot || config.starts_early(&archive.service) => {
            (BOTH, Children::Root)
        }
        Order::Verify(_) => (FETCH, Children::Same),
        Order::Restore(restore) if restore.target == Target::InPlace => (REPLACE, Children::Root),
        Order::Restore(_) => (RESTORE, Children::Same),
        Order::Archive(_) => (TRANSFER, Children::Same),
        Order::Stop {
            ask_remotes: true, ..
        } => (ASK, Children::Root),
        Order::Stop { service, .. } => once_asked(config, service),
        Order::Status { .. } | Order::Start(_) => (SERVICE, Children::Root),
        // It writes a file of its own and runs nothing.
        Order::Approve { .. } => (&[], Children::Same),
        // It looks after rclone's configuration as well.
        Order::Recover { .. } => (RECOVER, Children::Root),
    }
}
