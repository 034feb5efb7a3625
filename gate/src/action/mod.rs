//! The work of each verb: one file a verb, one exhaustive `match`.
//!
//! Invariant: an action starts from a [`Grant`], which only policy can make, and uses the operating system only through
//! `Host`, locks, leases and pinned directories.

mod approve;
mod archive;
mod ask_remotes;
mod capture;
mod circumstances;
mod context;
mod databases;
mod download;
pub(crate) mod facts;
mod fetch;
mod fit_rclone;
mod keeping;
mod list;
mod listing;
pub(crate) mod night;
mod one_process;
mod precedence;
mod probe;
mod proof;
mod prune;
mod pruning;
mod reading;
mod recover;
mod rehearse;
mod remedy;
mod remote;
mod remote_folder;
mod restore;
mod room;
mod service;
mod spool;
mod start;
mod status;
mod stop;
mod stops;
mod sync;
mod unbundling;
mod upload;
mod verify;
mod verify_mirror;
mod versions;
mod waiting;

pub use circumstances::Circumstances;
use context::AGAIN;
pub use context::Context;
#[cfg(any(test, fuzzing))]
pub(crate) use list::remote::read as read_listing;
pub(crate) use spool::{has_room, spool_folder};

use std::time::Instant;

use crate::policy::{Grant, Order};
use crate::request::table::Report;
use base::error::Failure;
use base::slots::Slot;
use config::unusable;

/// The most requests that look after the leases of other services at the same time.
const LOOKING_AFTER: u32 = 8;

/// Carries out a grant. Returns a sentence about the result, or an empty one if the result has been told already.
///
/// # Errors
/// When the action failed.
pub fn execute(
    grant: &Grant,
    context: &mut Context<'_>,
    circumstances: &Circumstances,
) -> Result<String, Failure> {
    let until = context.started + grant.timeout();
    let outcome = carry_out(grant, context, circumstances, until);
    context.end_one_process();
    outcome
}

fn carry_out(
    grant: &Grant,
    context: &mut Context<'_>,
    circumstances: &Circumstances,
    until: Instant,
) -> Result<String, Failure> {
    match grant.order() {
        Order::Stop {
            service,
            ask_remotes,
        } => stop::stop(context, service, *ask_remotes, until, grant.timeout()),
        Order::Start(service) => start::start(context, service, until, grant.timeout()),
        Order::Sync(mirror) => sync::sync(context, mirror, circumstances, until),
        Order::Archive(archive) => archive::archive(context, archive, circumstances, until),
        Order::Recover { service, boot } => {
            recover::recover(context, service.as_ref(), *boot, until)
        }
        Order::Approve { lock } => approve::approve(context, lock),
        Order::Restore(order) => restore::restore(context, order, until),
        Order::RestoreExtra(order) => restore::restore_extra(context, order, until),
        Order::Rehearse(order) => rehearse::rehearse(context, order, until),
        Order::Verify(wanted) => verify::verify(context, wanted, until),
        Order::VerifyMirror(copies) => verify_mirror::verify(context, copies, until),
        Order::Report {
            report,
            service,
            json,
        } => {
            let service = service.as_ref();
            match report {
                Report::List => list::list(context, service, *json, until),
                Report::Status => status::status(context, service, *json, until),
            }
        }
    }
}

/// Looks after the processes and leases of killed gates, before an action. A start serves its own service first, so it
/// leaves the leases of others to [`guard_after`]. Returns the circumstances of a copy.
pub fn guard(grant: &Grant, context: &mut Context<'_>) -> Circumstances {
    warn_of_unusable(context);
    guard_others(grant, context);
    Circumstances::ask(context, grant)
}

/// Warns of each table of the configuration that is not in force.
fn warn_of_unusable(context: &mut Context<'_>) {
    for one in unusable::tables(context.config) {
        context.warn(format!(
            "warning: {} is not in force: {}",
            one.place, one.reason
        ));
    }
}

fn guard_others(grant: &Grant, context: &mut Context<'_>) {
    let except = match grant.order() {
        // These touch no service.
        Order::Approve { .. } | Order::Report { .. } => return,
        Order::Stop { service, .. } => Some(service),
        Order::Sync(_)
        | Order::Archive(_)
        | Order::Start(_)
        | Order::Recover { .. }
        | Order::Verify(_)
        | Order::VerifyMirror(_)
        | Order::Restore(_)
        | Order::RestoreExtra(_)
        | Order::Rehearse(_) => None,
    };
    // Enough requests are looking after leases already; one more would only slow them down.
    let slot = Slot::take(&context.config.lock_dir, "looking-after", LOOKING_AFTER);
    if matches!(slot, Ok(None)) && !matches!(grant.order(), Order::Start(_) | Order::Recover { .. })
    {
        return;
    }
    context.host.sweep();
    if !matches!(grant.order(), Order::Start(_)) {
        capture::sweep_all(context, None, context.started + grant.timeout());
        sync::sweep_copies(context);
        rehearse::sweep(context);
    }
    // `--recover` and `--start` look after leases later.
    if !matches!(grant.order(), Order::Recover { .. } | Order::Start(_)) {
        keeping::guard(context, except, context.started + grant.timeout());
    }
}

/// Looks after the leases of other services once a start has given its answer, in the remaining time.
pub fn guard_after(grant: &Grant, context: &mut Context<'_>) {
    if let Order::Start(service) = grant.order() {
        capture::sweep_all(context, None, context.started + grant.timeout());
        sync::sweep_copies(context);
        rehearse::sweep(context);
        keeping::guard(context, Some(service), context.started + grant.timeout());
    }
}

#[cfg(test)]
mod tests;
