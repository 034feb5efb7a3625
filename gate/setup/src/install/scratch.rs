//! A folder in memory for short-lived files of the installer.
//!
//! Invariant: only root can enter it, no byte of it reaches a disk, and it ends with its owner. The next installer
//! first removes the folder of a killed one.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

/// Below /run, which is in memory on every host with systemd.
const PLACE: &str = "/run/backupctl-install";

/// The folder.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it.
    ///
    /// # Errors
    /// A sentence, when it cannot be made, or is not in memory.
    pub(super) fn new() -> Result<Self, String> {
        let place = PathBuf::from(PLACE);
        let say = |error: std::io::Error| format!("{PLACE}: {error}");
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(say(error)),
            _ => {}
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .map_err(say)?;
        let scratch = Self(place);
        match statfs(scratch.path()) {
            Ok(found) if found.filesystem_type() == TMPFS_MAGIC => Ok(scratch),
            _ => Err(format!(
                "{PLACE} is not in memory, and a private key must not reach a disk"
            )),
        }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Should this fail, it is in memory, root's alone, and gone with the next installation or boot.
        let _ = fs::remove_dir_all(&self.0);
    }
}
