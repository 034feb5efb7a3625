//! `--restore`: brings data back beside the present data, to another directory, or in its place.
//!
//! Invariant: a service's data is complete at every moment: the former data until all of the new data is there and
//! compared, and then the new data. A tree with its final name is complete.

pub(in crate::action) mod from_archive;
pub(in crate::action) mod mirror;
mod place;
mod plain_mirror;
mod snapshot;
pub(in crate::action) mod staging;

use std::time::Instant;

use super::Context;
use super::databases::Databases;
use super::one_process::Reach;
use super::spool::fetched_folder;
use crate::policy::{Restore, RestoreExtra};
use crate::request::Target;
use base::error::{Failure, Interrupt};
use base::lock_name::LockName;
use host::Patience;

pub(in crate::action) use place::{Interrupted, heal};
use staging::Staging;

pub(super) fn restore(
    context: &mut Context<'_>,
    order: &Restore,
    until: Instant,
) -> Result<String, Failure> {
    let service = &order.wanted.service;
    let patience = Patience::attended(until);
    let _restores = context.lock(&LockName::restores(service), "--restore", &patience)?;
    context.rclone_reads(&order.wanted.remotes, &patience)?;
    if order.target == Target::InPlace {
        place::heal_held(context, service)?;
        place::may_be_replaced(context, order)?;
    } else {
        place::warn_of_interrupted(context, service);
    }
    let mut databases = Databases::new(context)?;
    let stamp = stamp(context);
    let mut staging = Staging::make(context, (&order.target, &order.folder), &stamp)?;
    context.begin_one_process(Reach::Remote, &patience)?;
    let made = match &order.mirror {
        Some(copies) => {
            let order = mirror::MirrorOrder {
                copies,
                keep_privileges: order.keep_privileges,
                service: Some(order),
            };
            from_mirror(context, &order, &mut staging, &databases, &patience)?
        }
        None => {
            let made = from_archive::fetch(context, order, &staging, &databases, &patience);
            context.end_one_process();
            rescued(made, &mut staging)?
        }
    };
    match order.target {
        Target::Beside | Target::At(_) => {
            staging.complete()?;
            if order.only.is_empty() {
                snapshot::explain(context, order, &staging);
            }
            Ok(format!("{made} to {}", staging.path()))
        }
        Target::InPlace => {
            snapshot::put(context, order, &staging, &mut databases, &patience)?;
            place::replace(context, order, &mut staging, until)
                .map(|words| format!("{made}; {words}"))
        }
    }
}

/// Brings an extra target back from its mirror.
pub(super) fn restore_extra(
    context: &mut Context<'_>,
    order: &RestoreExtra,
    until: Instant,
) -> Result<String, Failure> {
    let patience = Patience::attended(until);
    let _restores = context.lock(&order.lock, "--restore-extra", &patience)?;
    context.rclone_reads(&order.copies.remotes(), &patience)?;
    let databases = Databases::new(context)?;
    let folder = fetched_folder(&context.config.spool_dir);
    let stamp = stamp(context);
    let mut staging = Staging::make(context, (&order.target, &folder), &stamp)?;
    context.begin_one_process(Reach::Remote, &patience)?;
    let mirror = mirror::MirrorOrder {
        copies: &order.copies,
        keep_privileges: order.keep_privileges,
        service: None,
    };
    let made = from_mirror(context, &mirror, &mut staging, &databases, &patience)?;
    staging.complete()?;
    Ok(format!("{made} to {}", staging.path()))
}

pub(in crate::action) fn stamp(context: &Context<'_>) -> String {
    context.host.local().format("%Y%m%d-%H%M%S").to_string()
}

/// Makes the tree from a mirror.
fn from_mirror(
    context: &mut Context<'_>,
    order: &mirror::MirrorOrder<'_>,
    staging: &mut Staging,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    let made = mirror::fetch(context, order, staging, databases, patience);
    context.end_one_process();
    let Err(failure) = &made else {
        return made;
    };
    if is_out_of_time(failure) {
        staging.keep_parts()?;
        // The deadline passed while the gate waited for the remote: keep the files that came before.
        if staging.holds_something() {
            let path = staging.rescue()?;
            context.warn(format!(
                "the files that came before are in {path}, with neither their owners and permissions nor links; nothing else was changed"
            ));
        }
    }
    rescued(made, staging)
}

/// Keeps a tree that is not as its manifest says under another name.
fn rescued(made: Result<String, Failure>, staging: &mut Staging) -> Result<String, Failure> {
    match made {
        Err(Failure::Verification(words)) => {
            let path = staging.rescue()?;
            Err(Failure::Verification(format!(
                "{words}; what came of it is in {path}, and nothing else was changed"
            )))
        }
        made => made,
    }
}

/// True when the deadline passed.
fn is_out_of_time(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::TimedOutWaiting { .. }
            | Failure::Interrupted {
                cause: Interrupt::DeadlinePassed,
                ..
            }
    )
}
