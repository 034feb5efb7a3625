//! sshd's settings for the account.
//!
//! Invariant: they hold for the account alone, and sshd is asked whether it likes them before it reads them.

use super::super::change::{Change, Job, Manager, Proof};
use super::super::target::Target;

const PATH: &str = "/etc/ssh/sshd_config.d/backupctl.conf";

/// sshd's unit, as Debian and as others call it.
const DEBIANS: &str = "ssh.service";
const OTHERS: &str = "sshd.service";

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let bytes = target.release.bytes("etc/sshd.conf");
    let Some(change) = target.file(PATH, bytes, 0o644, Proof::Sshd) else {
        return Vec::new();
    };
    let debians = ["/usr/lib/systemd/system/", "/etc/systemd/system/"]
        .iter()
        .any(|folder| target.eyes.is_there(&format!("{folder}{DEBIANS}")));
    let unit = if debians { DEBIANS } else { OTHERS };
    vec![change, Change::Systemd(Manager::System, Job::Reload(unit))]
}
