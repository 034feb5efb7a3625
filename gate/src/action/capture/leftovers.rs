//! The end of captures: of those that are not needed any more, and of those that a killed gate left.
//!
//! Invariant: a capture that a backup reads is never removed. Its backup holds the lock of the service's mirrors or
//! archives, and both locks are needed for a removal. The record goes last.

use std::time::Duration;

use super::record::{self, CaptureMethod, CaptureRecord};
use super::{btrfs, commands};
use crate::action::Context;
use crate::walk::Work;
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::names::ServiceName;
use host::Patience;

/// The time for captures of all services, before or after another action.
const OTHERS: Duration = Duration::from_secs(10);

/// The shortest time for the removal of a capture that was broken off.
const BROKEN_OFF: Duration = Duration::from_secs(30);

/// Removes the captures that belong to no lease, of all services but one.
pub(in crate::action) fn sweep_all(
    context: &mut Context<'_>,
    except: Option<&ServiceName>,
    until: std::time::Instant,
) {
    let until = until.min(context.host.now() + OTHERS);
    for service in record::services(context) {
        if except != Some(&service) {
            sweep(context, &service, None, &Patience::attended(until));
        }
    }
}

/// Removes the capture of a service if it belongs to no lease. `held` is the lock that the caller holds.
pub(in crate::action) fn sweep(
    context: &mut Context<'_>,
    service: &ServiceName,
    held: Option<&LockName>,
    patience: &Patience<'_>,
) {
    let Ok(leases) = context.leases() else {
        return;
    };
    let needed = |record: &CaptureRecord| {
        // A lease that cannot be read may be the one of this capture.
        leases
            .load(service)
            .map_or(true, |lease| record.belongs_to(lease.as_ref()))
    };
    remove_unless(context, service, held, &needed, patience);
}

/// Removes the capture of a service before its next stop, unless a backup reads it at this moment.
pub(in crate::action) fn forget(
    context: &mut Context<'_>,
    service: &ServiceName,
    patience: &Patience<'_>,
) {
    remove_unless(context, service, None, &|_| false, patience);
}

fn remove_unless(
    context: &mut Context<'_>,
    service: &ServiceName,
    held: Option<&LockName>,
    needed: &dyn Fn(&CaptureRecord) -> bool,
    patience: &Patience<'_>,
) {
    let Ok(Some(_)) = record::load(context, service) else {
        return;
    };
    let mut locks = Vec::new();
    for name in [LockName::mirror(service), LockName::archives(service)] {
        if held == Some(&name) {
            continue;
        }
        let directory = &context.config.lock_dir;
        match ServiceLock::try_take(directory, &name, "removing captured data") {
            Ok(Some(lock)) => locks.push(lock),
            // The action that holds it may read the capture, and removes it at its end.
            _ => return,
        }
    }
    // Read again, under the locks.
    let Ok(Some(record)) = record::load(context, service) else {
        return;
    };
    if needed(&record) {
        return;
    }
    if let Err(failure) = remove(context, service, &record, patience) {
        context.warn(format!(
            "{failure}; the next action removes the captured data of {service}"
        ));
    }
}

/// Removes a capture that was broken off or is of no use, also when the time of its action is over.
pub(super) fn discard(context: &mut Context<'_>, service: &ServiceName, record: &CaptureRecord) {
    let until = context.host.now() + BROKEN_OFF;
    if let Err(failure) = remove(context, service, record, &Patience::unattended(until)) {
        context.warn(format!(
            "{failure}; the next action removes the captured data of {service}"
        ));
    }
}

fn remove(
    context: &mut Context<'_>,
    service: &ServiceName,
    record: &CaptureRecord,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    if record.made == CaptureMethod::Commands {
        let commands = context.config.services.get(service);
        if let Some(commands) = commands.and_then(|service| service.capture.as_ref()) {
            let argv = commands.release.argv().to_vec();
            commands::run(context, "releasing the capture", argv, patience)?;
        }
        return record::clear(context, service);
    }
    let folders = match CaptureRecord::path(record.folder.as_ref()) {
        Some(folder) => vec![folder],
        None => record::folders(context.config, service).into(),
    };
    for folder in folders {
        let snapshot = match record.made {
            CaptureMethod::Snapshot => btrfs::delete(context, &folder, patience),
            _ => Ok(()),
        };
        let emptied = context.work(&folder, None, Work::Empty, patience);
        match (snapshot, emptied) {
            (_, Ok(_)) => {}
            // The reason why it cannot be emptied.
            (Err(failure), Err(_)) | (Ok(()), Err(failure)) => return Err(failure),
        }
    }
    record::clear(context, service)
}
