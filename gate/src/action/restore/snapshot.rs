//! The runner's own database: a snapshot replaces the database that was in use while it was packed.
//!
//! `lightflow` is archived while it runs, so an archive contains its database twice: `lightflow.db`, which may be
//! torn, and `backup/lightflow.db`, a snapshot that lightflow made before.
//!
//! Invariant: the snapshot replaces the database only if SQLite finds the snapshot sound; the other database is kept,
//! set aside.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, fsync, geteuid};

use super::staging::Staging;
use crate::action::Context;
use crate::action::databases::Databases;
use crate::action::verify::{SNAPSHOT, has_snapshot};
use crate::policy::Restore;
use base::error::Failure;
use database::Integrity;
use host::Patience;

/// The database in use, and the files beside it.
const LIVE: [&str; 4] = [
    "lightflow.db",
    "lightflow.db-wal",
    "lightflow.db-shm",
    "lightflow.db-journal",
];

/// Explains the manual steps for a tree that is not restored in place.
pub(super) fn explain(context: &mut Context<'_>, order: &Restore, staging: &Staging) {
    if has_snapshot(&order.wanted.service, order.wanted.hot) {
        context.say(format!(
            "lightflow.db in there was in use while it was packed, and may be torn; before lightflow uses this data, remove lightflow.db, lightflow.db-wal and lightflow.db-shm and copy {}/backup/lightflow.db to lightflow.db (--in-place does that)",
            staging.path()
        ));
    }
}

/// Replaces the database with the snapshot, in a tree that is not in use yet.
pub(super) fn put(
    context: &mut Context<'_>,
    order: &Restore,
    staging: &Staging,
    databases: &mut Databases,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    if !has_snapshot(&order.wanted.service, order.wanted.hot) {
        return Ok(());
    }
    let Some(mut snapshot) = open(staging.tree())? else {
        context.warn("there is no backup/lightflow.db in it; lightflow starts with the database that was in use while it was packed, which may be torn");
        return Ok(());
    };
    databases.copy(SNAPSHOT, &mut snapshot)?;
    for looked in databases.look(context, patience)? {
        if let Integrity::Bad(lines) = looked.answer {
            return Err(Failure::Verification(format!(
                "{}: {}; nothing was changed. Restore another day, or restore with --to and choose by hand",
                String::from_utf8_lossy(SNAPSHOT),
                lines.first().map_or("damaged", String::as_str)
            )));
        }
    }
    let aside = format!("set-aside-{}", staging.stamp);
    exchange(staging.tree(), &mut snapshot, &aside).map_err(Failure::io(
        "putting the snapshot of lightflow's database in place",
    ))?;
    context.say(format!(
        "lightflow.db is the snapshot that was in backup/; the database that was in use while it was packed is in {aside}/"
    ));
    Ok(())
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// The snapshot in a tree, if there is one.
fn open(tree: &OwnedFd) -> Result<Option<File>, Failure> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let found = openat(tree, "backup", DIRECTORY, Mode::empty())
        .and_then(|folder| openat(&folder, "lightflow.db", flags, Mode::empty()));
    let looking = || Failure::errno("opening backup/lightflow.db in what was restored");
    match found {
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(looking()(errno)),
        Ok(fd) => {
            let file = File::from(fd);
            let plain = file.metadata().is_ok_and(|seen| seen.is_file());
            Ok(plain.then_some(file))
        }
    }
}

fn exchange(tree: &OwnedFd, snapshot: &mut File, aside: &str) -> std::io::Result<()> {
    use std::io::Seek;
    let own = fstat(tree)?;
    let model = fstat(&*snapshot)?;
    mkdirat(tree, aside, Mode::S_IRWXU)?;
    let folder = openat(tree, aside, DIRECTORY, Mode::empty())?;
    give(&folder, own.st_uid, own.st_gid)?;
    for name in LIVE {
        match renameat(tree, name, &folder, name) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let mut fresh = File::from(openat(tree, LIVE[0], flags, mode)?);
    snapshot.rewind()?;
    std::io::copy(snapshot, &mut fresh)?;
    give(&fresh, model.st_uid, model.st_gid)?;
    fchmod(&fresh, Mode::from_bits_truncate(model.st_mode & 0o777))?;
    fresh.sync_all()?;
    for folder in [&folder, tree] {
        fsync(folder)?;
    }
    Ok(())
}

fn give(fd: &impl AsFd, uid: u32, gid: u32) -> nix::Result<()> {
    if geteuid().is_root() {
        fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}
