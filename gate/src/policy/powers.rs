//! The capabilities of root that the gate keeps, for each order and stage.
//!
//! Invariant: a later stage keeps no more than the one before it.

use caps::Capability;

use super::Order;
use crate::request::Target;
use crate::request::table::Needs;
use base::names::ServiceName;
use config::Config;
use privilege::capabilities::Children;

/// For rclone: read files of other users (`DAC_READ_SEARCH`), make the mount through which rclone sees its source
/// (`SYS_ADMIN`), drop capabilities in a child (`SETPCAP`), and give rclone's configuration its group back (`CHOWN`).
const TRANSFER: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
];

/// For commands of the administrator: end commands that changed their user (`KILL`), and find commands that a killed
/// gate left behind (`SYS_PTRACE`). The gate finds them by their environment, which the kernel hides from processes
/// with fewer capabilities.
const SERVICE: &[Capability] = &[Capability::CAP_KILL, Capability::CAP_SYS_PTRACE];

/// As [`SERVICE`], and measure the data of a service before it is stopped (`DAC_READ_SEARCH`).
const MEASURE: &[Capability] = &[
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_KILL,
    Capability::CAP_SYS_PTRACE,
];

/// As [`MEASURE`], and ask the remotes before: rclone's configuration gets its group back (`CHOWN`).
const ASK: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_KILL,
    Capability::CAP_SYS_PTRACE,
];

/// For an rclone that downloads, and sees nothing of this host.
const FETCH: &[Capability] = &[Capability::CAP_CHOWN, Capability::CAP_SETPCAP];

/// To restore files as they were: in folders of other users (`DAC_OVERRIDE`), with any owner (`CHOWN`, `FOWNER`,
/// `FSETID`), with the attributes of programs (`SETFCAP`) and of root (`SYS_ADMIN`).
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

/// As [`RESTORE`], and stop and start a service meanwhile.
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

/// As [`BOTH`], and remove the leftovers of an interrupted restore in folders of other users.
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

/// Capabilities for service commands and transfers: [`SERVICE`] and [`TRANSFER`].
const BOTH: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_KILL,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_PTRACE,
];

/// The capabilities that the gate keeps at first, while it looks after services that are due. A capability dropped
/// here is lost for good.
#[must_use]
pub fn at_first(order: Option<&Order>) -> (&'static [Capability], Children) {
    match order {
        Some(
            Order::Restore(_) | Order::RestoreExtra(_) | Order::Rehearse(_) | Order::Recover { .. },
        ) => (REPLACE, Children::Root),
        _ => (BOTH, Children::Root),
    }
}

/// The capabilities of a stop after the remotes were asked.
#[must_use]
pub fn once_asked(config: &Config, service: &ServiceName) -> (&'static [Capability], Children) {
    let kept = if config.asks_for_room(service) {
        MEASURE
    } else {
        SERVICE
    };
    (kept, Children::Root)
}

/// The capabilities of a stop after the data was measured.
#[must_use]
pub fn once_measured() -> (&'static [Capability], Children) {
    (SERVICE, Children::Root)
}

/// The capabilities of an archive after its data was read, if no capture has to be removed later.
#[must_use]
pub fn once_read() -> (&'static [Capability], Children) {
    (TRANSFER, Children::Same)
}

/// The capabilities that the gate keeps while it carries out an order, and those of its children. The commands of
/// services regain root's capabilities, because the gate cannot know the needs of a service at its start.
#[must_use]
pub fn of(order: &Order, config: &Config) -> (&'static [Capability], Children) {
    match order {
        // The gate starts the service when its data is captured, and may stop it once more before.
        Order::Sync(mirror) if !mirror.hot && starts(config, mirror.lock.as_service()) => {
            (BOTH, Children::Root)
        }
        Order::Report { report, .. } => match report.needs() {
            Needs::Remotes => (TRANSFER, Children::Same),
            Needs::Services => (SERVICE, Children::Root),
            Needs::Nothing => (&[], Children::Same),
        },
        Order::Sync(_) => (TRANSFER, Children::Same),
        // The gate asks the service for its status again after its data was read.
        Order::Archive(archive) if !archive.hot => (BOTH, Children::Root),
        Order::Verify(_) | Order::VerifyMirror(_) => (FETCH, Children::Same),
        Order::Restore(restore) if restore.target == Target::InPlace => (REPLACE, Children::Root),
        // The start test runs Podman.
        Order::Rehearse(_) => (REPLACE, Children::Root),
        Order::Restore(_) | Order::RestoreExtra(_) => (RESTORE, Children::Same),
        Order::Archive(_) => (TRANSFER, Children::Same),
        Order::Stop {
            ask_remotes: true, ..
        } => (ASK, Children::Root),
        Order::Stop { service, .. } => once_asked(config, service),
        Order::Start(_) => (SERVICE, Children::Root),
        // An approval writes a file of the gate's own and runs nothing.
        Order::Approve { .. } => (&[], Children::Same),
        // A recovery looks after rclone's configuration as well.
        Order::Recover { .. } => (RECOVER, Children::Root),
    }
}

/// True if a sync starts its service.
fn starts(config: &Config, service: Option<&ServiceName>) -> bool {
    service.is_some_and(|service| config.starts_early(service))
}
