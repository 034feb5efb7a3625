//! `--recover`: bring back every service that a backup stopped and nobody started.
//!
//! Invariant: a service that does not come back is tried again until the time is over, and keeps its lease, so
//! that whoever asked (a timer, a unit, a keeper) asks again.

use std::time::{Duration, Instant};

use super::keeping::{is_kept, keep};
use super::start::bring_back;
use super::{Context, restore};
use crate::credentials;
use crate::error::Failure;
use crate::host::Patience;
use crate::names::ServiceName;

/// Between the first two attempts. Each further pause is twice as long, up to a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) fn recover(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    boot: bool,
    until: Instant,
) -> Result<String, Failure> {
    if only.is_none() {
        // A token that an rclone which was killed had just been given.
        match credentials::recover(context.config) {
            Ok(true) => context.say("a new token of rclone's is in its configuration"),
            Ok(false) => {}
            Err(failure) => context.warn(format!("rclone's configuration: {failure}")),
        }
    }
    if let Err(failure) = restore::heal(context, only) {
        context.warn(failure.to_string());
    }
    let mut back = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        let due = due(context, only, boot, until)?;
        let mut last = None;
        for service in due {
            let outcome = bring_back(context, &service, |context, leases, lease, patience| {
                lease.due(&context.host.moment())
                    || (boot
                        && lease.owed()
                        && !is_kept(context, leases, &service, lease, patience))
            });
            match outcome {
                Ok(None) => {}
                Ok(Some(words)) => {
                    back += 1;
                    context.say(words);
                }
                Err(failure) => {
                    context.warn(format!("{service} is not back yet: {failure}"));
                    last = Some(failure);
                }
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
        // A signal ends it here: whoever sent it knows that there are leases left.
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

/// The services that should be up by now, and by the way: leases that nobody keeps are kept again, and at boot
/// what was down before is forgotten.
fn due(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    boot: bool,
    until: Instant,
) -> Result<Vec<ServiceName>, Failure> {
    let patience = Patience::attended(until);
    let leases = context.leases()?;
    let services = leases
        .services()
        .map_err(Failure::io("the list of leases"))?;
    let mut due = Vec::new();
    for service in services {
        if only.is_some_and(|only| *only != service) {
            continue;
        }
        if !context.config.services.contains_key(&service) {
            context.warn(format!(
                "{service} has a lease and is not in the configuration any more; start it by hand, and remove its file from leases/"
            ));
            continue;
        }
        let loaded = leases
            .load(&service)
            .map_err(Failure::io(format!("the lease of {service}")))?;
        let Some(mut lease) = loaded else { continue };
        let now = context.host.moment();
        if lease.due(&now) {
            due.push(service);
        } else if !lease.owed() {
            if boot && lease.left(&now).is_none() {
                leases
                    .clear(&service)
                    .map_err(Failure::io(format!("the lease of {service}")))?;
            }
        } else if boot && !is_kept(context, &leases, &service, &lease, &patience) {
            due.push(service);
        } else {
            keep(context, &leases, &service, &mut lease, &patience)?;
            let until = lease.until().format("%Y-%m-%dT%H:%M:%SZ");
            context.say(format!(
                "{service} may stay down until {until}; --start {service} brings it back now"
            ));
        }
    }
    Ok(due)
}
