//! `--recover`: bring back every service that a backup stopped and no `--start` brought back.
//!
//! Invariant: a service that does not come back is tried again until the time is over. It keeps its lease, so the
//! caller (a timer, a unit, a keeper) tries again.

use std::time::{Duration, Instant};

use super::keeping::{is_kept, keep};
use super::restore::Interrupted;
use super::start::bring_back;
use super::{Context, restore};
use crate::lease::store::Leases;
use base::error::Failure;
use base::names::ServiceName;
use host::Patience;
use rclone::credentials;

/// The pause between the first two attempts. Each further pause is twice as long, up to a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) fn recover(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    boot: bool,
    until: Instant,
) -> Result<String, Failure> {
    if only.is_none() {
        // Saves a new token that a killed rclone had just received.
        match credentials::recover(context.config) {
            Ok(true) => context.say("a new token of rclone's is in its configuration"),
            Ok(false) => {}
            Err(failure) => context.warn(format!("rclone's configuration: {failure}")),
        }
    }
    // A service whose data a restore was replacing is not started before that is settled. All other work on restores,
    // and all work that only looks after leases, waits until every service is back.
    if let Err(failure) = restore::heal(context, only, Interrupted::Only) {
        context.warn(failure.to_string());
    }
    let mut back = 0;
    let mut pause = FIRST_PAUSE;
    let mut looked_after = false;
    loop {
        let mut last = None;
        for service in overdue(context, only)? {
            let outcome = bring_back(context, &service, |context, _, lease, _| {
                lease.due(&context.host.moment())
            });
            note(context, &service, outcome, &mut back, &mut last);
        }
        if !std::mem::replace(&mut looked_after, true) {
            for service in look_after(context, only, boot, until)? {
                let outcome = bring_back(context, &service, |context, leases, lease, patience| {
                    lease.owed() && !is_kept(context, leases, &service, lease, patience)
                });
                note(context, &service, outcome, &mut back, &mut last);
            }
            if let Err(failure) = restore::heal(context, only, Interrupted::All) {
                context.warn(failure.to_string());
            }
        }
        let Some(failure) = last else {
            return Ok(match back {
                0 => "there is nothing to bring back".to_owned(),
                1 => "1 service was brought back".to_owned(),
                many => format!("{many} services were brought back"),
            });
        };
        if context.host.now() + pause >= until {
            return Err(failure);
        }
        // A signal ends the action here: its sender knows that leases are left.
        if context
            .host
            .pause(pause, &Patience::attended(until))
            .is_err()
        {
            return Err(failure);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reports the result of one attempt.
fn note(
    context: &mut Context<'_>,
    service: &ServiceName,
    outcome: Result<Option<String>, Failure>,
    back: &mut u32,
    last: &mut Option<Failure>,
) {
    match outcome {
        Ok(None) => {}
        Ok(Some(words)) => {
            *back += 1;
            context.say(words);
        }
        Err(failure) => {
            context.warn(format!("{service} is not back yet: {failure}"));
            *last = Some(failure);
        }
    }
}

/// The requested services that have a lease.
fn leased(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
) -> Result<(Leases, Vec<ServiceName>), Failure> {
    let leases = context.leases()?;
    let mut services = leases
        .services()
        .map_err(Failure::io("the list of leases"))?;
    services.retain(|service| only.is_none_or(|only| only == service));
    Ok((leases, services))
}

/// The services that should be up by now. This reads only the leases, so it cannot hang.
fn overdue(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
) -> Result<Vec<ServiceName>, Failure> {
    let (leases, services) = leased(context, only)?;
    let now = context.host.moment();
    let mut due = Vec::new();
    for service in services {
        if !context.config.services.contains_key(&service) {
            context.warn(format!(
                "{service} has a lease and is not in the configuration any more; start it by hand, and remove its file from leases/"
            ));
            continue;
        }
        match leases.load(&service) {
            Ok(Some(lease)) if lease.due(&now) => due.push(service),
            Ok(_) => {}
            Err(error) => context.warn(format!("the lease of {service}: {error}")),
        }
    }
    Ok(due)
}

/// Looks after the leases that are not over: each lease without a keeper gets one. At boot, returns the services of
/// such leases instead, and removes leases that are over and need no start.
fn look_after(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    boot: bool,
    until: Instant,
) -> Result<Vec<ServiceName>, Failure> {
    let patience = Patience::attended(until);
    let (leases, services) = leased(context, only)?;
    let mut unkept = Vec::new();
    for service in services {
        if !context.config.services.contains_key(&service) {
            continue;
        }
        let now = context.host.moment();
        let Ok(Some(mut lease)) = leases.load(&service) else {
            continue;
        };
        if !lease.owed() {
            if boot && lease.left(&now).is_none() {
                leases
                    .clear(&service)
                    .map_err(Failure::io(format!("the lease of {service}")))?;
            }
        } else if lease.due(&now) {
            // This lease is over, and was tried just now.
        } else if boot && !is_kept(context, &leases, &service, &lease, &patience) {
            unkept.push(service);
        } else {
            if let Err(failure) = keep(context, &leases, &service, &mut lease, &patience) {
                context.warn(failure.to_string());
            }
            let until = lease.until().format("%Y-%m-%dT%H:%M:%SZ");
            context.say(format!(
                "{service} may stay down until {until}; --start {service} brings it back now"
            ));
        }
    }
    Ok(unkept)
}
