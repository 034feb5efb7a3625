//! The copies for an upload that a killed gate left in the spool: private data, and as large as the changes of a night.
//!
//! Invariant: copies that a sync may still read are never removed. Their sync holds the lock of its mirror.

use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::state::COPIES;
use crate::action::Context;
use base::dirfd::{PinnedDir, entries, private_dir};
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::names::{PlainPath, ServiceName, TargetName};
use base::scratch;

/// Removes the copies of all mirrors that no sync is working on. Those that cannot be removed are told.
pub(in crate::action) fn sweep_copies(context: &mut Context<'_>) {
    let folder = context.config.spool_dir.below(&[COPIES]);
    // It is not made: its disk may be gone.
    let Ok(opened) = PinnedDir::open(&folder) else {
        return;
    };
    for name in entries(opened.fd()).unwrap_or_default() {
        let Some((name, lock)) = name.to_str().and_then(|name| Some((name, lock(name)?))) else {
            continue;
        };
        let directory = &context.config.lock_dir;
        let taken = ServiceLock::try_take(directory, &lock, "removing copies of an upload");
        let Ok(Some(_held)) = taken else {
            continue;
        };
        if let Err(failure) = remove(&folder, name) {
            context.warn(format!("{failure}; the next action removes these copies"));
        }
    }
}

/// The lock of the mirror whose copies have this folder.
fn lock(name: &str) -> Option<LockName> {
    match ServiceName::parse(name) {
        Ok(service) => Some(LockName::mirror(&service)),
        Err(_) => {
            let target = name.strip_prefix("_extra.")?;
            Some(LockName::extra(&TargetName::parse(target).ok()?))
        }
    }
}

fn remove(folder: &PlainPath, name: &str) -> Result<(), Failure> {
    let path = folder.below(&[name]);
    let removing = || Failure::io(format!("removing {path}"));
    let owner = geteuid().as_raw();
    let copies = private_dir(&path, owner).map_err(removing())?;
    scratch::empty(&copies).map_err(|errno| removing()(errno.into()))?;
    let above = private_dir(folder, owner).map_err(removing())?;
    unlinkat(&above, name, UnlinkatFlags::RemoveDir).map_err(|errno| removing()(errno.into()))
}
