//! `--start`: bring back the service that `--stop` found up.
//!
//! Invariant: only its deadline ends a start. A vanished ssh client or a signal does not, a sync or archive of the same
//! service gives way to the start, and the lease ends only when the service is back.

use std::time::{Duration, Instant};

use super::Context;
use super::keeping::{end, fulfil};
use super::precedence::lock_first;
use super::service::{bring_up, state, wait_for_answer};
use crate::control::{Controls, State};
use crate::lease::Lease;
use crate::lease::store::Leases;
use crate::replacement::{DATA, Records};
use base::error::Failure;
use base::names::ServiceName;
use base::result_line::ResultLine;
use host::Patience;

pub(super) fn start(
    context: &mut Context<'_>,
    service: &ServiceName,
    until: Instant,
    timeout: Duration,
) -> Result<String, Failure> {
    let patience = Patience::unattended(until);
    let _lock = lock_first(context, service, "--start", &patience)?;
    replaced(context, service)?;
    start_held(context, service, &patience, timeout)
}

/// Refuses to start a service if a killed restore has left its data under another name.
fn replaced(context: &Context<'_>, service: &ServiceName) -> Result<(), Failure> {
    let between = Records::open(&context.config.state_dir)
        .and_then(|records| records.load(service))
        .ok()
        .flatten()
        .is_some_and(|_| {
            let folder = context.config.data_root.below(&[service.as_str()]);
            let seen = folder.below(&[DATA]).to_path_buf().symlink_metadata();
            seen.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        });
    if !between {
        return Ok(());
    }
    Err(Failure::Tool {
        what: format!("starting {service}"),
        detail: format!(
            "a restore of its data was interrupted half-way; run `sudo backupctl --recover {service}`, which brings it to its end"
        ),
    })
}

/// Does the work of `--start` for a caller that holds the service's lock.
pub(super) fn start_held(
    context: &mut Context<'_>,
    service: &ServiceName,
    patience: &Patience<'_>,
    timeout: Duration,
) -> Result<String, Failure> {
    let controls = Controls::of(context.config, service, timeout);
    // Leases that cannot be read must not keep a service down.
    let leases = context.leases();
    let lease = match leases.as_ref().map(|leases| leases.load(service)) {
        Ok(Ok(lease)) => lease,
        Ok(Err(error)) => {
            context.warn(format!(
                "the lease of {service} cannot be read ({error}); starting it"
            ));
            Some(Lease::lost())
        }
        Err(failure) => {
            context.warn(format!("{failure}; starting {service}"));
            None
        }
    };
    let leases = leases.ok();
    let was_down = lease.as_ref().is_some_and(|lease| !lease.was_up);
    let owed = lease.as_ref().is_some_and(Lease::owed);
    // Always run the start command while the gate owes a start, even if the service reports up: a stop command that
    // outlived its gate may still be shutting it down.
    let state = if owed {
        None
    } else {
        state(context, &controls, patience).ok()
    };
    if was_down && state == Some(State::Down) {
        finish(context, leases.as_ref(), service, lease.as_ref(), patience)?;
        return Ok(format!("{service} was down before the stop and stays down"));
    }
    let up = state == Some(State::Up);
    let before = lease.as_ref().map(|lease| lease.before).unwrap_or_default();
    if !up {
        bring_up(context, service, &controls, before, patience)?;
    } else if !before.silent {
        wait_for_answer(context, service, patience)?;
    }
    finish(context, leases.as_ref(), service, lease.as_ref(), patience)?;
    Ok(back(context, service, lease.as_ref(), up))
}

/// Starts a service whose data is captured, if the configuration says so and the gate stopped the service, with all that
/// its stop took down. The backup continues in any case.
pub(super) fn start_early(context: &mut Context<'_>, service: &ServiceName) {
    if !context.config.starts_early(service) {
        return;
    }
    let loaded = context.leases().map(|leases| {
        let lease = leases.load(service).ok().flatten();
        (leases, lease.filter(Lease::owed))
    });
    let (leases, mut lease) = match loaded {
        Ok((leases, Some(lease))) => (leases, lease),
        Ok((_, None)) => return,
        Err(failure) => return context.warn(failure.to_string()),
    };
    context.say(format!(
        "the data of {service} is captured, so it is started"
    ));
    let limit = Duration::from_secs(context.config.limits.start.default.into());
    // Needs no client: this is the promised start.
    let patience = Patience::unattended(context.host.now() + limit);
    let controls = Controls::of(context.config, service, limit);
    let started = bring_up(context, service, &controls, lease.before, &patience)
        .and_then(|()| fulfil(context, &leases, service, &mut lease, &patience));
    match started {
        Ok(()) => {
            let now = context.host.moment();
            let time = lease.downtime(&now).unwrap_or_default();
            tell_downtime(context, service, time);
            context.say(format!("{service} is up; it was down for {}", words(time)));
        }
        Err(failure) => context.warn(format!(
            "{failure}; --start, or the end of its lease, brings {service} back"
        )),
    }
}

/// Brings a service back for which no `--start` came. Returns a message, or `None` if no start was owed.
pub(super) fn bring_back(
    context: &mut Context<'_>,
    service: &ServiceName,
    owed: impl FnOnce(&mut Context<'_>, &Leases, &Lease, &Patience<'_>) -> bool,
) -> Result<Option<String>, Failure> {
    let timeout = Duration::from_secs(context.config.limits.start.default.into());
    let patience = Patience::unattended(context.host.now() + timeout);
    let _lock = lock_first(context, service, "--recover", &patience)?;
    let leases = context.leases()?;
    let loaded = leases.load(service);
    let Some(lease) = loaded.map_err(Failure::io(format!("the lease of {service}")))? else {
        return Ok(None);
    };
    if !owed(context, &leases, &lease, &patience) {
        return Ok(None);
    }
    let controls = Controls::of(context.config, service, timeout);
    bring_up(context, service, &controls, lease.before, &patience)?;
    end(context, &leases, service, Some(&lease), &patience)?;
    Ok(Some(back(context, service, Some(&lease), false)))
}

fn finish(
    context: &mut Context<'_>,
    leases: Option<&Leases>,
    service: &ServiceName,
    lease: Option<&Lease>,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    match (leases, lease) {
        (Some(leases), Some(lease)) => end(context, leases, service, Some(lease), patience),
        // There is no lease to end.
        _ => Ok(()),
    }
}

/// The message for a service that is back; `up` if it was up already.
fn back(
    context: &mut Context<'_>,
    service: &ServiceName,
    lease: Option<&Lease>,
    up: bool,
) -> String {
    let now = context.host.moment();
    let early = lease.is_some_and(|lease| lease.back.is_some());
    let time = lease
        .filter(|lease| lease.owed() || (up && early))
        .and_then(|lease| lease.downtime(&now));
    if let Some(time) = time {
        tell_downtime(context, service, time);
    }
    match time.map(words) {
        Some(time) if early => {
            format!("{service} is up since its data was captured; it was down for {time}")
        }
        Some(time) => format!("{service} is up; it was down for {time}"),
        None if up => format!("{service} was up already"),
        None => format!("{service} is up"),
    }
}

fn words(time: Duration) -> String {
    base::measure::duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn tell_downtime(context: &mut Context<'_>, service: &ServiceName, time: Duration) {
    let line = ResultLine::Downtime {
        subject: service.to_string(),
        ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
    };
    context.say(line.to_string());
}
