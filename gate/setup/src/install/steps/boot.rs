//! systemd's part for the gate: its folders, the unit that brings services back after a boot, and the network that
//! rootless containers wait for.
//!
//! Invariant: network-online.target is reached at each boot on every host, because a unit of ours wants it.

use super::super::change::{Change, Job, Manager, Proof};
use super::super::target::Target;

pub(in crate::install) const RECOVER: &str = "backupctl-recover.service";
const NETWORK: &str = "network-online.target";
const TMPFILES: &str = "/etc/tmpfiles.d/backupctl.conf";
const SYSTEMCTL: &str = "/usr/bin/systemctl";

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let tmpfiles = target.file(
        TMPFILES,
        target.release.bytes("etc/tmpfiles.conf"),
        0o644,
        Proof::None,
    );
    let missing = [
        "/var/lib/backupctl",
        "/var/cache/backupctl",
        "/run/backupctl",
    ]
    .iter()
    .any(|folder| !target.eyes.is_there(folder));
    let fresh = tmpfiles.is_some() || missing;
    changes.extend(tmpfiles);
    if fresh {
        changes.push(Change::Tmpfiles(TMPFILES));
    }
    let unit = format!("/etc/systemd/system/{RECOVER}");
    let bytes = target.release.bytes("podman/backupctl-recover.service");
    let unit = target.file(unit, bytes, 0o644, Proof::None);
    if unit.is_some() {
        changes.extend(unit);
        changes.push(Change::Systemd(Manager::System, Job::Reread));
    }
    let says = |verb: &str, unit: &str, word: &str| {
        let said = target.eyes.ask_for(&[SYSTEMCTL, verb, unit]);
        said.is_ok_and(|said| said.out.trim() == word)
    };
    if !says("is-enabled", RECOVER, "enabled") {
        changes.push(Change::Systemd(Manager::System, Job::Enable(RECOVER)));
    }
    if !says("is-active", NETWORK, "active") {
        changes.push(Change::Systemd(Manager::System, Job::Start(NETWORK)));
    }
    changes
}
