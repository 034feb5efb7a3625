//! The ways to capture all data of a service, the fastest first: commands of the administrator, a snapshot, a tree with
//! shared blocks and, for an archive, a tree of copies.
//!
//! Invariant: the folder of a capture is the gate's own and lies outside of the data. A way that does not work, or takes
//! too long, leaves nothing behind.

use std::time::Duration;

use nix::sys::statfs::{EXT4_SUPER_MAGIC, TMPFS_MAGIC, fstatfs};

use super::need::{Need, Wish};
use super::record::{self, CaptureMethod, CaptureRecord};
use super::{btrfs, commands, leftovers};
use crate::action::Context;
use crate::lease::Lease;
use crate::walk::{Answer, Duplicate, Work};
use archive::duplicate::{Duplicated, Way, needs_copies};
use archive::extract::free;
use base::dirfd::PinnedDir;
use base::error::{Failure, Interrupt};
use base::measure;
use base::names::ServiceName;
use host::Patience;

/// The time that a sync spends on a tree with shared blocks of all files: it only needs the changed ones.
const QUICK: Duration = Duration::from_secs(10);

/// The name of a tree in its folder.
const TREE: &str = "tree";

/// A whole capture, open.
pub(super) struct Whole {
    pub(super) tree: PinnedDir,
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
    if !record.belongs_to(Some(lease)) {
        return Ok(None);
    }
    open(context, &record, patience)
}

fn open(
    context: &mut Context<'_>,
    record: &CaptureRecord,
    patience: &Patience<'_>,
) -> Result<Option<Whole>, Failure> {
    let Some(path) = CaptureRecord::path(record.tree.as_ref()) else {
        return Ok(None);
    };
    Ok(Some(Whole {
        tree: context.open_source(&path, patience)?,
    }))
}

/// Copies the data while the service is up, so that the second stop has to copy the changed files alone.
pub(super) fn prepare(
    context: &mut Context<'_>,
    need: &Need<'_>,
    lease: &Lease,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Option<CaptureRecord>, Failure> {
    if commands::exist(context, need.service) || btrfs::is_likely(data) || is_busy(context, need)? {
        return Ok(None);
    }
    for way in [Way::Reflinks, Way::Copies] {
        if !fits(context, way, data, patience)? {
            continue;
        }
        context.say(format!(
            "copying the data of {} while it is up",
            need.service
        ));
        let Some(begun) = begin(context, need.service, lease, CaptureMethod::Tree(way))? else {
            continue;
        };
        match pass(context, &begun, way, true, data, patience) {
            Ok(_) => return Ok(Some(begun)),
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
                return Ok(None);
            }
        }
    }
    Ok(None)
}

/// True if an action still reads a capture of an earlier lease, whose place is taken.
fn is_busy(context: &mut Context<'_>, need: &Need<'_>) -> Result<bool, Failure> {
    let busy = record::load(context, need.service)?.is_some();
    if busy {
        context.warn(format!(
            "the data of {} is not captured, because an earlier capture is in use or cannot be removed",
            need.service
        ));
    }
    Ok(busy)
}

/// Makes a whole capture of the data of a service that is down. Returns `None`, after a warning, if the backup has to
/// read the data itself.
pub(super) fn take(
    context: &mut Context<'_>,
    need: &Need<'_>,
    lease: &Lease,
    data: &PinnedDir,
    prepared: Option<CaptureRecord>,
    patience: &Patience<'_>,
) -> Result<Option<Whole>, Failure> {
    // After a start that failed, the capture that was made before it.
    if let Some(whole) = reuse(context, need, lease, patience)? {
        return Ok(Some(whole));
    }
    if prepared.is_none() && is_busy(context, need)? {
        return Ok(None);
    }
    let now = context.host.now();
    let limit = Duration::from_secs(context.config.capture.seconds.into());
    let until = patience.until.min(now + limit);
    let within = Patience { until, ..*patience };
    let taken = match prepared {
        Some(prepared) => complete(context, need, &prepared, data, &within),
        None => take_within(context, need, lease, data, &within),
    };
    let taken = taken.and_then(|record| match record {
        Some(record) => {
            record::save(context, need.service, &record)?;
            open(context, &record, patience)
        }
        None => Ok(None),
    });
    let failure = match taken {
        Ok(whole) => return Ok(whole),
        Err(failure) => failure,
    };
    if let Some(record) = record::load(context, need.service)? {
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

fn take_within(
    context: &mut Context<'_>,
    need: &Need<'_>,
    lease: &Lease,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Option<CaptureRecord>, Failure> {
    let service = need.service;
    if let Some(record) = commands::take(context, service, lease, patience)? {
        return Ok(Some(record));
    }
    if btrfs::is_likely(data)
        && let Some(mut record) = begin(context, service, lease, CaptureMethod::Snapshot)?
    {
        let [beside, _] = record::folders(context.config, service);
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
    if !may_share(data) || (need.wish == Wish::Sync && record::was_slow(context, service)) {
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
    let made = CaptureMethod::Tree(Way::Reflinks);
    let Some(begun) = begin(context, service, lease, made)? else {
        return Ok(None);
    };
    match complete(context, need, &begun, data, &quick) {
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
            if too_slow {
                record::note_slow(context, service);
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

/// Writes the record of a capture that is about to be made, and makes its folder. Returns `None` if the gate can have no
/// folder of its own there.
fn begin(
    context: &Context<'_>,
    service: &ServiceName,
    lease: &Lease,
    made: CaptureMethod,
) -> Result<Option<CaptureRecord>, Failure> {
    let [beside, spool] = record::folders(context.config, service);
    let folder = match made {
        CaptureMethod::Tree(Way::Copies) => {
            context.own_directory(&context.config.spool_dir)?;
            spool
        }
        _ => beside,
    };
    let record = CaptureRecord {
        lease: lease.id(),
        made,
        folder: Some(folder.to_string()),
        tree: None,
    };
    record::save(context, service, &record)?;
    if context.own_directory(&folder).is_ok() {
        return Ok(Some(record));
    }
    record::clear(context, service)?;
    Ok(None)
}

/// True if copies of all data, and the archive of them, have room in the spool; shared blocks need none.
fn fits(
    context: &mut Context<'_>,
    way: Way,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    if way == Way::Reflinks {
        return Ok(may_share(data));
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
    begun: &CaptureRecord,
    data: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Option<CaptureRecord>, Failure> {
    let CaptureMethod::Tree(way) = begun.made else {
        return Ok(None);
    };
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
    let folder = CaptureRecord::path(begun.folder.as_ref());
    Ok(folder.map(|folder| CaptureRecord {
        tree: Some(folder.below(&[TREE]).to_string()),
        ..begun.clone()
    }))
}

fn pass(
    context: &mut Context<'_>,
    begun: &CaptureRecord,
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
