//! In place: the restored tree and a service's data change places, while the service is down.
//!
//! All of the new data is present and compared before the service is stopped, so that it is down for a moment only.
//! After the stop, only a deadline ends the work. The lease says that the service must come back, and a record says
//! how its data is replaced, so that a later gate can complete both.
//!
//! Invariant: a service is never started while its data is neither the former nor the restored tree.

use std::time::{Duration, Instant};

use super::staging::{BEFORE, Staging, clear_service};
use crate::action::Context;
use crate::action::precedence::lock_first;
use crate::action::start::{bring_back, start_held};
use crate::action::stop::{Purpose, stop_held};
use crate::control::Controls;
use crate::lease::Lease;
use crate::policy::Restore;
use crate::replacement::{self, DATA, Records, Replacement, Standing, inode};
use base::dirfd::{PinnedDir, find};
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::names::{PlainPath, ServiceName};
use base::owners::trusted;
use host::Patience;

impl Context<'_> {
    fn records(&self) -> Result<Records, Failure> {
        let folder = &self.config.state_dir;
        Records::open(folder).map_err(Failure::io(format!("the records of restores in {folder}")))
    }
}

/// Checks that the data can change places, before the download.
pub(super) fn may_be_replaced(context: &Context<'_>, order: &Restore) -> Result<(), Failure> {
    let service = &order.wanted.service;
    let controls = Controls::of(context.config, service, Duration::ZERO);
    for argv in [&controls.stop, &controls.start, &controls.status] {
        trusted(argv)?;
    }
    let Ok(folder) = PinnedDir::open(&order.folder) else {
        return Ok(());
    };
    if let Ok(found) = find(folder.fd(), DATA.as_ref())
        && found.mounted
    {
        return Err(Failure::Path {
            path: order.folder.below(&[DATA]).to_path_buf(),
            detail: "a file system of its own is mounted there, which cannot change places; restore to a directory in it with --to".into(),
        });
    }
    Ok(())
}

/// Stops the service, exchanges both trees, and starts the service.
pub(super) fn replace(
    context: &mut Context<'_>,
    order: &Restore,
    staging: &mut Staging,
    until: Instant,
) -> Result<String, Failure> {
    let service = &order.wanted.service;
    // From here on the restored tree stays, even if a later part fails.
    staging.complete()?;
    let restored = staging.path();
    let locked = context.lock(
        &LockName::service(service),
        "--restore",
        &Patience::attended(until),
    );
    let _lock = match locked {
        Ok(lock) => lock,
        Err(failure) => {
            context.warn(format!("what was restored is in {restored}"));
            return Err(failure);
        }
    };
    let kept = format!("{BEFORE}{}", staging.stamp);
    let records = context.records()?;
    let recording = || Failure::io(format!("the record of the restore of {service}"));
    let looking = || Failure::errno(format!("looking at {}", order.folder));
    let new = inode(staging.parent(), &staging.name).map_err(looking())?;
    let record = Replacement {
        fresh: staging.name.clone(),
        kept: kept.clone(),
        old: inode(staging.parent(), DATA).map_err(looking())?,
        new: new.ok_or_else(|| Failure::TargetTaken(restored.to_path_buf()))?,
    };
    records.save(service, &record).map_err(recording())?;
    let limit = Duration::from_secs(context.config.limits.stop.default.into());
    let patience = Patience::unattended(context.host.now() + limit);
    match stop_held(context, service, Purpose::Restore, &patience, limit) {
        Ok(words) => context.say(words),
        Err(failure) => {
            records.clear(service).map_err(recording())?;
            context.warn(format!("what was restored is in {restored}"));
            return Err(failure);
        }
    }
    let replaced = replacement::carry_out(staging.parent(), &record, true);
    let standing = replacement::heal(staging.parent(), &record);
    let limit = Duration::from_secs(context.config.limits.start.default.into());
    let patience = Patience::unattended(context.host.now() + limit);
    match (replaced, standing) {
        (_, Ok(Standing::New)) => {}
        (Err(error), Ok(Standing::Old | Standing::Unknown)) => {
            context.warn(format!(
                "{} was not replaced ({error}); what was restored is in {restored}",
                order.folder.below(&[DATA])
            ));
            let started = start_held(context, service, &patience, limit);
            records.clear(service).map_err(recording())?;
            context.say(started?);
            return Err(Failure::io(format!("replacing the data of {service}"))(
                error,
            ));
        }
        (Ok(()), Ok(Standing::Old | Standing::Unknown)) => {
            records.clear(service).map_err(recording())?;
            return Err(Failure::Path {
                path: order.folder.to_path_buf(),
                detail: "somebody else replaces what is in there; look at it, and then start the service".into(),
            });
        }
        // Do not start the service without its data; its lease and the record stay, and recovery continues from them.
        (_, Err(error)) => {
            return Err(Failure::io(format!(
                "replacing the data of {service}; run --recover {service} once that is mended"
            ))(error));
        }
    }
    let before = order.folder.below(&[&kept]);
    if record.old.is_some() {
        context.say(format!("the data from before is in {before}"));
    }
    // Clear the record last: a gate that finds it starts the service at once, and does not wait for the end of its
    // lease.
    let started = start_held(context, service, &patience, limit);
    records.clear(service).map_err(recording())?;
    match started {
        Ok(words) => Ok(format!(
            "it is in place, and {words}{}",
            advice(&before, &record)
        )),
        Err(failure) => {
            context.warn(format!(
                "{service} does not come up with the restored data; to go back: stop it, move {data} away and {before} to {data}, and run --start {service}",
                data = order.folder.below(&[DATA])
            ));
            Err(failure)
        }
    }
}

fn advice(before: &PlainPath, record: &Replacement) -> String {
    match record.old {
        Some(_) => format!("; {before} is yours to remove"),
        None => String::new(),
    }
}

/// Warns about an interrupted restore. A restore that stops no service cannot complete it: it lacks the privileges to
/// start one.
pub(super) fn warn_of_interrupted(context: &mut Context<'_>, service: &ServiceName) {
    let found = context
        .records()
        .is_ok_and(|records| !matches!(records.load(service), Ok(None)));
    if found {
        context.warn(format!(
            "an earlier restore of {service} was interrupted; --recover {service} brings it to its end"
        ));
    }
}

/// Completes an interrupted restore of a service. The caller holds the lock of the service's restores. Returns true if
/// there was a record of one.
pub(super) fn heal_held(context: &mut Context<'_>, service: &ServiceName) -> Result<bool, Failure> {
    let folder = context.config.data_root.below(&[service.as_str()]);
    if clear_service(&folder) {
        context.say(format!(
            "what an interrupted restore of {service} had made is removed"
        ));
    }
    let records = context.records()?;
    let recording = || Failure::io(format!("the record of the restore of {service}"));
    if records.load(service).map_err(recording())?.is_none() {
        return Ok(false);
    }
    let limit = Duration::from_secs(context.config.limits.start.default.into());
    let patience = Patience::unattended(context.host.now() + limit);
    // Data changes places only under the service's lock.
    let Some(lock) = lock_first(context, service, "--recover", &patience)? else {
        return Err(Failure::Tool {
            what: format!("the interrupted restore of {service}"),
            detail: "the service is locked; run --recover again once that action has ended".into(),
        });
    };
    let Some(record) = records.load(service).map_err(recording())? else {
        return Ok(false);
    };
    let opened = PinnedDir::open(&folder).map_err(Failure::errno(format!("opening {folder}")))?;
    let standing = replacement::heal(opened.fd(), &record)
        .map_err(Failure::io(format!("replacing the data of {service}")))?;
    let data = folder.below(&[DATA]);
    context.warn(match standing {
        Standing::New => format!(
            "a restore of {service} was interrupted: {data} is what was restored, and {} the data from before",
            folder.below(&[&record.kept])
        ),
        Standing::Old => format!(
            "a restore of {service} was interrupted: {data} is the data from before, and {} what was restored",
            folder.below(&[&record.fresh])
        ),
        Standing::Unknown => format!(
            "a restore of {service} was interrupted, and {data} is neither the data from before nor what was restored; look at {folder}"
        ),
    });
    records.clear(service).map_err(recording())?;
    drop(lock);
    if let Some(words) = bring_back(context, service, |_, _, lease: &Lease, _| lease.owed())? {
        context.say(words);
    }
    Ok(true)
}

/// The interrupted restores to complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::action) enum Interrupted {
    /// Restores that had begun to replace data. For other services not even the disk is touched.
    Only,
    /// Also restores that left folders behind.
    All,
}

/// Completes all interrupted restores, except those that are still running.
pub(in crate::action) fn heal(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    which: Interrupted,
) -> Result<(), Failure> {
    let services: Vec<ServiceName> = context.config.services.keys().cloned().collect();
    for service in services {
        if only.is_some_and(|only| *only != service) {
            continue;
        }
        if which == Interrupted::Only {
            let records = context.records()?;
            if matches!(records.load(&service), Ok(None)) {
                continue;
            }
        }
        let directory = &context.config.lock_dir;
        let lock = ServiceLock::try_take(directory, &LockName::restores(&service), "--recover");
        if let Ok(Some(_lock)) = lock {
            heal_held(context, &service)?;
        }
    }
    Ok(())
}
