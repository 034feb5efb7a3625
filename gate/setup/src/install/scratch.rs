//! A folder in memory for short-lived files of the installer.
//!
//! Invariant: only root can enter it, and no byte of it reaches a disk.

use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

use base::names::PlainPath;
use base::scratch::Scratch;

/// Below /run, which is in memory on every host with systemd.
const PLACE: &str = "/run/backupctl-install";

/// Takes the folder. Its content is removed with the value, or by the next installer after one that was killed.
///
/// # Errors
/// A sentence, when it cannot be made, or is not in memory.
pub(super) fn in_memory() -> Result<Scratch, String> {
    let place = PlainPath::parse(PLACE).map_err(|error| format!("{PLACE}: {error}"))?;
    let scratch = Scratch::take(&place).map_err(|error| format!("{PLACE}: {error}"))?;
    match fstatfs(scratch.fd()) {
        Ok(found) if found.filesystem_type() == TMPFS_MAGIC => Ok(scratch),
        _ => Err(format!(
            "{PLACE} is not in memory, and a private key must not reach a disk"
        )),
    }
}
