//! The ways to capture all data of a service, the fastest first: commands of the administrator, a snapshot, a tree with
//! shared blocks and, for an archive, a tree of copies.
//!
//! Invariant: the folder of a capture is the gate's own and lies outside of the data. A way that does not work, or takes
//! too long, leaves nothing behind.

use std::time::Duration;

use nix::sys::statfs::{EXT4_SUPER_MAGIC, TMPFS_MAGIC, fstatfs};

use super::record::{self, Made, Record};
use super::{Need, Wish, belongs, btrfs, leftovers};
use crate::action::Context;
use crate::lease::Lease;
use crate::walk::{Answer, Duplicate, Work};
use archive::duplicate::{Duplicated, Way, needs_copies};
use archive::extract::free;
use base::dirfd::PinnedDir;
use base::error::{Failure, Interrupt};
use base::measure;
use base::names::{PlainPath, ServiceName};
use config::Config;
use host::Patience;

/// The time that a sync spends on a tree with shared blocks of all files: it only needs the changed ones.
const QUICK: Duration = Duration::from_secs(10);

/// The name of a tree in its folder.
const TREE: &str = "tree";

/// The name of the folders, which no service can have.
const CAPTURED: &str = ".captured";

/// A whole capture, open.
pub(super) struct Whole {
    pub(super) tree: PinnedDir,
    pub(super) keeps_inodes: bool,
}

/// The folders that may hold a capture: on the file system of the data, and in the spool.
pub(super) fn folders(config: &Config, service: &ServiceName) -> [PlainPath; 2] {
    [&config.data_root, &config.spool_dir].map(|above| above.below(&[CAPTURED, service.as_str()]))
}

/// The capture of an earlier backup under the same lease.
pub(super) fn reuse(
    context: &mut Context<'_>,
    need: &Need<'_>,
    lease: &Lease,
    patience: &Patience<'_>,
) -> Result<Option<Whole>, Failure> {
    let Some(record) = record::load(context, need.service)? else {
        return Ok(None);
    };
    if !belongs(&record, Some(lease)) {
        return Ok(None);
    }
    open(context, &record, patience)
}

fn open(
    context: &mut Context<'_>,
    record: &Record,
    patience: &Patience<'_>,
) -> Result<Option<Whole>, Failure> {
    let Some(path) = Record::path(record.tree.as_ref()) else {
        return Ok(None);
    };
    Ok(Some(Whole {
        tree: context.open_source(&path, patience)?,
        keeps_inodes: !matches!(record.made, Made::Tree(_)),
    }))
}

/// Copies the data while the service is up, so that the second stop has to copy the changed files alone.
pub(super) fn prepare(
    context: &mut Context<'_>,
    need: &Need<'_>,
    lease: &Lease,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    if has_commands(context, need.service) || btrfs::is_likely(data) {
        return Ok(());
    }
    for way in [Way::Reflinks, Way::Copies] {
        if !fits(context, need.service, way, data, patience)? {
            continue;
        }
        context.say(format!(
            "copying the data of {} while it is up",
            need.service
        ));
        let begun = begin(context, need.service, lease, way)?;
        match pass(context, &begun, way, true, data, patience) {
            Ok(_) => return Ok(()),
            Err(failure) => {
                leftovers::discard(context, need.service, &begun);
                if needs_copies(&failure) {
                    continue;
                }
                if matches!(failure, Failure::Interrupted { .. }) {
                    return Err(failure);
                }
                context.warn(format!(
                    "{failure}; the data of {} is packed while the service is down",
                    need.service
                ));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Makes a whole capture of the data of a service that is down. Returns `None`, after a warning, if the backup has to
/// read the data itself.
pub(super) fn take(
    context: &mut Context<'_>,
    need: &Need<'_>,
    lease: &Lease,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Option<Whole>, Failure> {
    // After a start that failed, the capture that was made before it.
    if let Some(whole) = reuse(context, need, lease, patience)? {
        return Ok(Some(whole));
    }
    let now = context.host.now();
    let limit = Duration::from_secs(context.config.capture.seconds.into());
    let until = patience.until.min(now + limit);
    let within = Patience { until, ..*patience };
    let outcome = take_within(context, need, lease, data, &within);
    match outcome {
        Ok(Some(record)) => {
            record::save(context, need.service, &record)?;
            open(context, &record, patience)
        }
        Ok(None) => Ok(None),
        Err(failure) => {
            let lost = record::load(context, need.service)?;
            if let Some(record) = lost {
                leftovers::discard(context, need.service, &record);
            }
            if let Failure::Interrupted { cause, .. } = &failure
                && (*cause != Interrupt::DeadlinePassed || patience.until <= context.host.now())
            {
                return Err(failure);
            }
            context.warn(format!(
                "the data of {} is not captured: {failure}; it is read while the service is down",
                need.service
            ));
            Ok(None)
        }
    }
}

fn take_within(
    context: &mut Context<'_>,
    need: &Need<'_>,
    lease: &Lease,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Option<Record>, Failure> {
    let service = need.service;
    if let Some(record) = by_commands(context, service, lease, patience)? {
        return Ok(Some(record));
    }
    let [beside, _] = folders(context.config, service);
    if let Some(prepared) = record::load(context, service)?
        && let Made::Tree(way) = prepared.made
    {
        // The archive copied the data while the service was up.
        return complete(context, need, &prepared, way, data, patience);
    }
    if btrfs::is_likely(data) && own(context, &beside) {
        let mut record = Record {
            lease: lease.id(),
            made: Made::Snapshot,
            folder: Some(beside.to_string()),
            tree: None,
        };
        record::save(context, service, &record)?;
        match btrfs::snapshot(context, data, &beside, patience) {
            Ok(Some(tree)) => {
                record.tree = Some(tree.to_string());
                return Ok(Some(record));
            }
            Ok(None) => leftovers::discard(context, service, &record),
            Err(failure @ Failure::Interrupted { .. }) => return Err(failure),
            Err(failure) => {
                context.warn(format!("{failure}; copying the data instead"));
                leftovers::discard(context, service, &record);
            }
        }
    }
    if !may_share(data) || !own(context, &beside) {
        return Ok(None);
    }
    let now = context.host.now();
    let quick = Patience {
        until: match need.wish {
            Wish::Sync => patience.until.min(now + QUICK),
            Wish::Archive => patience.until,
        },
        ..*patience
    };
    let begun = begin(context, service, lease, Way::Reflinks)?;
    match complete(context, need, &begun, Way::Reflinks, data, &quick) {
        Ok(done) => Ok(done),
        Err(failure) => {
            let too_slow = matches!(
                failure,
                Failure::Interrupted {
                    cause: Interrupt::DeadlinePassed,
                    ..
                }
            ) && context.host.now() < patience.until;
            if !needs_copies(&failure) && !too_slow {
                return Err(failure);
            }
            leftovers::discard(context, service, &begun);
            Ok(None)
        }
    }
}

/// False on file systems that are known to share no blocks of files; others are tried.
fn may_share(data: &PinnedDir) -> bool {
    fstatfs(data.fd()).is_ok_and(|stat| {
        let kind = stat.filesystem_type();
        kind != EXT4_SUPER_MAGIC && kind != TMPFS_MAGIC
    })
}

fn has_commands(context: &Context<'_>, service: &ServiceName) -> bool {
    let service = context.config.services.get(service);
    service.is_some_and(|service| service.capture.is_some())
}

fn by_commands(
    context: &mut Context<'_>,
    service: &ServiceName,
    lease: &Lease,
    patience: &Patience<'_>,
) -> Result<Option<Record>, Failure> {
    let commands = context.config.services.get(service);
    let Some(commands) = commands.and_then(|service| service.capture.as_ref()) else {
        return Ok(None);
    };
    base::owners::trusted(commands.release.argv())?;
    let mut record = Record {
        lease: lease.id(),
        made: Made::Commands,
        folder: None,
        tree: None,
    };
    record::save(context, service, &record)?;
    let argv = commands.take.argv().to_vec();
    leftovers::run(context, "capturing the data", argv, patience)?;
    let above = commands.path.parent();
    if let Some(above) = above {
        // A folder that the service's user could exchange is no place for a capture.
        trusted_folder(&above)?;
    }
    record.tree = Some(commands.path.to_string());
    Ok(Some(record))
}

fn trusted_folder(path: &PlainPath) -> Result<(), Failure> {
    let refused = |detail: String| Failure::Path {
        path: path.to_path_buf(),
        detail,
    };
    let there = PinnedDir::open(path).map_err(|errno| refused(errno.desc().to_owned()))?;
    drop(there);
    base::dirfd::private_dir(path, nix::unistd::geteuid().as_raw())
        .map(drop)
        .map_err(|error| refused(error.to_string()))
}

/// True if the gate can have a folder of its own there.
fn own(context: &Context<'_>, folder: &PlainPath) -> bool {
    context.own_directory(folder).is_ok()
}

/// Writes the record of a tree that is about to be made.
fn begin(
    context: &Context<'_>,
    service: &ServiceName,
    lease: &Lease,
    way: Way,
) -> Result<Record, Failure> {
    let [beside, spool] = folders(context.config, service);
    let folder = match way {
        Way::Reflinks => beside,
        Way::Copies => spool,
    };
    if way == Way::Copies {
        context.own_directory(&context.config.spool_dir)?;
    }
    let record = Record {
        lease: lease.id(),
        made: Made::Tree(way),
        folder: Some(folder.to_string()),
        tree: None,
    };
    record::save(context, service, &record)?;
    context.own_directory(&folder)?;
    Ok(record)
}

/// True if copies of all data, and the archive of them, have room in the spool; shared blocks need none.
fn fits(
    context: &mut Context<'_>,
    service: &ServiceName,
    way: Way,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    if way == Way::Reflinks {
        let [beside, _] = folders(context.config, service);
        return Ok(may_share(data) && own(context, &beside));
    }
    let found = context.measure(data, patience)?;
    let spool = context.own_directory(&context.config.spool_dir)?;
    let need = found
        .content
        .saturating_add(found.entries.saturating_mul(4096))
        .saturating_add(found.bound)
        .saturating_add(context.config.limits.spool_reserve);
    let free = free(&spool)?;
    if free < need {
        context.warn(format!(
            "{} has {} free, and copies of the data beside its archive may need {}; the data is packed while the service is down",
            context.config.spool_dir,
            measure::size(free),
            measure::size(need)
        ));
    }
    Ok(free >= need)
}

/// Makes the last pass over the data of a service that is down.
fn complete(
    context: &mut Context<'_>,
    need: &Need<'_>,
    begun: &Record,
    way: Way,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Option<Record>, Failure> {
    let done = pass(context, begun, way, false, data, patience)?;
    if !done.changed.is_empty() {
        return Err(Failure::Changed(done.changed.to_string()));
    }
    if !done.skipped.is_empty() && need.wish == Wish::Archive {
        context.warn(format!(
            "left out, because they are sockets or devices: {}",
            done.skipped
        ));
    }
    let folder = Record::path(begun.folder.as_ref());
    Ok(folder.map(|folder| Record {
        tree: Some(leftovers::inside(&folder, TREE).to_string()),
        ..begun.clone()
    }))
}

fn pass(
    context: &mut Context<'_>,
    begun: &Record,
    way: Way,
    live: bool,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Duplicated, Failure> {
    let work = Work::Duplicate(Duplicate {
        folder: begun.folder.clone().unwrap_or_default(),
        tree: TREE.to_owned(),
        way,
        live,
        reserve: context.config.limits.spool_reserve,
    });
    match context.work(data.path(), Some(data), work, patience)? {
        Answer::Duplicated(done) => Ok(*done),
        _ => Err(Failure::Tool {
            what: "copying the data".into(),
            detail: "the process that copies it gave another answer".into(),
        }),
    }
}
