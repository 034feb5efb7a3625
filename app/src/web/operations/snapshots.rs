//! Acts on copies of the server's own database.

use crate::blocking;
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::store::snapshot::{self, SnapshotFile};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

fn missing(name: &str) -> ApiError {
    ApiError::NotFound(format!("snapshot {name:?}"))
}

/// All snapshots, newest first.
pub(in crate::web) async fn list(app: &App) -> Result<Vec<SnapshotFile>, ApiError> {
    let folder = app.backups.clone();
    Ok(blocking::run(move || snapshot::list(&folder)).await??)
}

/// Copies the database while the server works, and keeps the ten newest copies. The audit
/// entry follows: a transaction that lasts as long as the copy would stop the writer.
pub(in crate::web) async fn create(admin: &Admin) -> Result<SnapshotFile, ApiError> {
    let (live, folder) = (admin.store.path().to_owned(), admin.backups.clone());
    let now = admin.clock.now();
    let _turn = admin.snapshots.lock().await;
    let taken = blocking::run(move || snapshot::take(&live, &folder, now)).await?;
    let file = taken.map_err(|error| ApiError::Internal(error.to_string()))?;
    let deed = Deed::new(Action::Added, SubjectKind::Snapshot, file.name.as_str());
    let bytes = file.bytes.to_string();
    admin.note(deed.with("bytes", None, Some(bytes))).await?;
    Ok(file)
}

/// A snapshot that is open for a download.
pub(in crate::web) struct OpenSnapshot {
    pub(in crate::web) file: File,
    /// Its length.
    pub(in crate::web) bytes: u64,
    /// Names its content: a snapshot is written once.
    pub(in crate::web) tag: String,
}

/// Opens a snapshot. A download, of all bytes or some, is noted in the audit trail.
pub(in crate::web) async fn open(
    admin: &Admin,
    name: &str,
    download: bool,
) -> Result<OpenSnapshot, ApiError> {
    if !snapshot::is_name(name) {
        return Err(missing(name));
    }
    let path = admin.backups.join(name);
    let opened = blocking::run(move || -> io::Result<OpenSnapshot> {
        let flags = nix::fcntl::OFlag::O_NOFOLLOW.bits();
        let mut options = File::options();
        let file = options.read(true).custom_flags(flags).open(path)?;
        let facts = file.metadata()?;
        let (inode, second, nano) = (facts.ino(), facts.mtime(), facts.mtime_nsec());
        Ok(OpenSnapshot {
            file,
            bytes: facts.len(),
            tag: format!("{inode:x}-{second:x}-{nano:x}-{:x}", facts.len()),
        })
    });
    let found = match opened.await? {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(name)),
        other => other?,
    };
    if download {
        let deed = Deed::new(Action::Downloaded, SubjectKind::Snapshot, name);
        admin.note(deed).await?;
    }
    Ok(found)
}

/// Deletes a snapshot.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
    if !snapshot::is_name(name) {
        return Err(missing(name));
    }
    let path = admin.backups.join(name);
    let deed = Deed::new(Action::Removed, SubjectKind::Snapshot, name);
    let removed = admin.change(move |ledger| {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other?,
        }
        ledger.note(&deed)?;
        Ok(true)
    });
    match removed.await? {
        true => Ok(()),
        false => Err(missing(name)),
    }
}
