//! A limit for the processes of all sessions of the account: whoever has its key can open any number of connections.
//!
//! There is no limit of memory: a start command of a service's own may leave a daemon behind in the same slice.
//!
//! Invariant: the limit is in a file of its own, so that an administrator's settings of the slice stay.

use std::path::PathBuf;

use super::super::change::{Change, Job, Manager, Proof, uid_of};
use super::super::target::{ACCOUNT, Target};

/// The file. The number of the account may not be known yet.
pub(in crate::install) fn slice_file() -> PathBuf {
    PathBuf::from(format!(
        "/etc/systemd/system/user-{}.slice.d/backupctl.conf",
        uid_of(ACCOUNT)
    ))
}

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let path = slice_file();
    let bytes = target.release.bytes("etc/slice.conf");
    let Some(file) = target.file(path.clone(), bytes, 0o644, Proof::None) else {
        return Vec::new();
    };
    let mut changes = target.parents(&path);
    changes.push(file);
    changes.push(Change::Systemd(Manager::System, Job::Reread));
    changes
}
