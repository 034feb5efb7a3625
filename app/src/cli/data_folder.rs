//! The data directory of a server: its folders, and the lock that keeps a second server out.

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Tries to take the lock of the data directory, and the pause between two: three seconds in all.
const LOCK_TRIES: u32 = 60;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Makes the folders that are not there.
pub(super) fn make_folders(data: &Path) -> Result<()> {
    for folder in [
        data.to_owned(),
        data.join("scripts"),
        data.join("python-libs"),
        data.join("logs"),
        data.join("backup"),
        data.join("tls"),
    ] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| {
                format!(
                    "cannot make the folder {}; LIGHTFLOW_DATA_DIR must be a folder that the user of lightflow (uid {}) may write to",
                    folder.display(),
                    nix::unistd::geteuid()
                )
            })?;
    }
    Ok(())
}

/// Makes sure that no second server works in the same folder.
pub(super) fn lock(data: &Path) -> Result<Flock<File>> {
    let path = data.join("lightflow.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        // A lock needs no permission to write (flock(2)). A write-protected folder may hold runs to be finished.
        .or_else(|error| File::open(&path).map_err(|_| error))
        .with_context(|| {
            format!(
                "cannot write to {}; it must be writable by the user of lightflow (uid {})",
                path.display(),
                nix::unistd::geteuid()
            )
        })?;
    let mut file = file;
    // A server that was killed holds the lock until the kernel has ended all its threads.
    for _ in 0..LOCK_TRIES {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((again, nix::errno::Errno::EWOULDBLOCK)) => {
                file = again;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err((_, error)) => bail!("cannot lock {}: {error}", path.display()),
        }
    }
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => bail!(
            "another lightflow serves the data directory {} already; stop it, or give this one a LIGHTFLOW_DATA_DIR of its own",
            data.display()
        ),
        Err((_, error)) => bail!("cannot lock {}: {error}", path.display()),
    }
}
