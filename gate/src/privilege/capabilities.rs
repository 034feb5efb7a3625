//! Capabilities: which of root's powers are left.
//!
//! A program of root's regains at execve(2) whatever is in the bounding set, so only what was dropped from there
//! is gone for children as well. The bounding set goes first, because dropping from it takes a capability itself.
//!
//! Invariant: after [`keep`] no set holds anything that is not kept; for an ordinary user there was nothing.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl::set_no_new_privs;

use crate::config::Config;
use crate::error::Failure;
use crate::names::ServiceName;
use crate::policy::Order;
use crate::request::Target;

/// What is done to the programs that are started later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// They get no more than this process keeps, and no set-user-ID program gives them more.
    Same,
    /// They are the administrator's own commands, and regain what root has.
    Root,
}

/// Cuts every set of this thread down to `kept`.
///
/// # Errors
/// A sentence, when the kernel refused.
pub fn keep(kept: &[Capability], children: Children) -> Result<(), String> {
    let refused =
        |what: &'static str| move |error: caps::errors::CapsError| format!("{what}: {error}");
    let reading = refused("reading the capabilities");
    let permitted = caps::read(None, CapSet::Permitted).map_err(reading)?;
    let left: CapsHashSet = permitted
        .iter()
        .copied()
        .filter(|capability| kept.contains(capability))
        .collect();
    if children == Children::Same {
        let bounding = caps::read(None, CapSet::Bounding).map_err(reading)?;
        if permitted.contains(&Capability::CAP_SETPCAP) {
            for capability in bounding.difference(&left) {
                caps::drop(None, CapSet::Bounding, *capability)
                    .map_err(refused("the bounding set"))?;
            }
        } else if nix::unistd::geteuid().is_root() && !bounding.is_subset(&left) {
            return Err("the bounding set cannot be cut without CAP_SETPCAP; run the gate as root, outside of containers that drop it".into());
        }
        set_no_new_privs().map_err(|errno| format!("PR_SET_NO_NEW_PRIVS: {}", errno.desc()))?;
    }
    // Kernels before 4.3 have no ambient set, and then there is nothing in it.
    let _ = caps::clear(None, CapSet::Ambient);
    caps::clear(None, CapSet::Inheritable).map_err(refused("the inheritable set"))?;
    caps::set(None, CapSet::Effective, &left).map_err(refused("the effective set"))?;
    caps::set(None, CapSet::Permitted, &left).map_err(refused("the permitted set"))
}

/// Keeps of root's power what the next stage needs.
///
/// # Errors
/// When the kernel refused.
pub fn give_up((kept, children): (&[Capability], Children)) -> Result<(), Failure> {
    keep(kept, children).map_err(|detail| Failure::Tool {
        what: "giving up privileges".into(),
        detail,
    })
}

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

/// What the gate itself keeps while it carries out an order, and what its children may have. The commands of services
/// regain what root has: nobody knows what a service needs at its start.
#[must_use]
pub fn of(order: &Order, config: &Config) -> (&'static [Capability], Children) {
    match order {
        Order::List { .. } | Order::Sync(_) => (TRANSFER, Children::Same),
        Order::Archive(archive) if config.starts_early(&archive.service) => (BOTH, Children::Root),
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
