//! `--stop`: promise to bring the service back, then stop it, and check that it is down.
//!
//! Invariant: before a service is stopped, its lease is on disk and has a keeper. If this action does not end with the
//! service down, it brings the service back before it answers; if that fails too, the lease stays. A second `--stop`
//! makes no new promise: the first record decides which units come back, and at which time. The checks for room for the
//! archive, and for a remote that takes the backup, come before all of that.

use std::time::{Duration, Instant};

use super::Context;
use super::ask_remotes;
use super::capture;
use super::keeping::{end, fulfil, keep};
use super::room;
use super::service::{ASK_AGAIN, bring_down, bring_up, settled_state, silent};
use super::stops;
use crate::control::{Controls, State};
use crate::lease::store::Leases;
use crate::lease::{Before, KeptBy, Lease};
use base::error::Failure;
use base::lock_name::LockName;
use base::names::ServiceName;
use base::owners::trusted;
use host::Patience;

/// The number of times a service is asked for an answer before it counts as silent.
const ASK: u32 = 3;

/// The purpose of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A backup, which needs a remote, and may need room in the spool.
    Backup {
        /// Ask the remotes first.
        ask_remotes: bool,
    },
    /// A restore of other data.
    Restore,
}

pub(super) fn stop(
    context: &mut Context<'_>,
    service: &ServiceName,
    ask_remotes: bool,
    until: Instant,
    timeout: Duration,
) -> Result<String, Failure> {
    let lock = context.lock(
        &LockName::service(service),
        "--stop",
        &Patience::attended(until),
    )?;
    // A waiting start comes first: then the service is brought back, as after any failed stop.
    let patience = Patience::attended(until).yielding(&lock);
    let purpose = Purpose::Backup { ask_remotes };
    stop_held(context, service, purpose, &patience, timeout)
}

/// Does the work of `--stop` for a caller that holds the service's lock.
pub(super) fn stop_held(
    context: &mut Context<'_>,
    service: &ServiceName,
    purpose: Purpose,
    patience: &Patience<'_>,
    timeout: Duration,
) -> Result<String, Failure> {
    let controls = Controls::of(context.config, service, timeout);
    let limit = Duration::from_secs(context.config.limits.start.default.into());
    // Undoing a stop gets the time of a start, however short the time of the stop is.
    let back = Controls::of(context.config, service, limit);
    // Check the start command too: better not to stop a service than to stop it and fail to start it.
    for argv in [&controls.stop, &controls.start, &controls.status] {
        trusted(argv)?;
    }
    let leases = context.leases()?;
    let leasing = || Failure::io(format!("the lease of {service}"));
    let mut former = leases.load(service).map_err(leasing())?;
    let mut state = settled_state(context, service, &controls, patience)?;
    let now = context.host.moment();
    if let Some(overdue) = former.take_if(|lease| lease.due(&now)) {
        settle(context, &leases, service, &back, &state, &overdue)?;
        state = State::Up;
    }
    let (mut lease, fresh) = match former.filter(|lease| stands(lease, &state, lease.left(&now))) {
        Some(lease) => (lease, false),
        None => (promise(context, service, &state, patience)?, true),
    };
    if !fresh {
        // An earlier `--stop` made a promise; it holds even if this one fails.
        keep(context, &leases, service, &mut lease, patience)?;
    }
    if let Purpose::Backup { ask_remotes } = purpose {
        if ask_remotes {
            ask_remotes::ask(context, service, &state, patience)?;
        }
        room::ask(context, service, &state, patience)?;
        if state != State::Down {
            stops::count(context, service)?;
        }
    }
    if fresh {
        // The captured data of the last backup is of no use any more, and its removal takes time.
        capture::forget(context, service, patience);
        // The service was up while the remotes were asked: that time is not part of the lease.
        lease.stopped = context.host.moment();
        leases.save(service, &lease).map_err(leasing())?;
        if let Err(failure) = keep(context, &leases, service, &mut lease, patience) {
            leases.clear(service).map_err(leasing())?;
            return Err(failure);
        }
    }
    if state != State::Down
        && let Err(failure) = bring_down(context, service, &controls, patience)
    {
        if lease.owed() {
            take_back(context, &leases, service, &back, &lease, &failure)?;
        }
        return Err(failure);
    }
    if lease.owed() {
        let until = lease.until().format("%Y-%m-%dT%H:%M:%SZ");
        context.say(format!(
            "{service} is brought back at {until} unless --start comes first"
        ));
    }
    Ok(if state == State::Down {
        format!("{service} was down already")
    } else {
        format!("{service} is down")
    })
}

/// Stops a service once more that was brought back early, under the same promise: the lease is on disk and kept before
/// anything is stopped, and all downtimes together count against its length. Returns `None` for a service that was
/// stopped by another hand meanwhile. The caller holds the service's lock.
pub(super) fn stop_again(
    context: &mut Context<'_>,
    service: &ServiceName,
    former: &Lease,
    patience: &Patience<'_>,
) -> Result<Option<Lease>, Failure> {
    let limit = Duration::from_secs(context.config.limits.stop.default.into());
    let controls = Controls::of(context.config, service, limit);
    let start = Duration::from_secs(context.config.limits.start.default.into());
    let back = Controls::of(context.config, service, start);
    for argv in [&controls.stop, &controls.start, &controls.status] {
        trusted(argv)?;
    }
    let until = patience.until.min(context.host.now() + limit);
    let within = Patience { until, ..*patience };
    let state = settled_state(context, service, &controls, &within)?;
    if state == State::Down {
        return Ok(None);
    }
    stops::count(context, service)?;
    let leases = context.leases()?;
    let leasing = || Failure::io(format!("the lease of {service}"));
    let now = context.host.moment();
    let mut lease = former.stopped_again(now, context.config.lease_of(service));
    leases.save(service, &lease).map_err(leasing())?;
    if let Err(failure) = keep(context, &leases, service, &mut lease, &within) {
        // Nothing was stopped.
        leases.save(service, former).map_err(leasing())?;
        return Err(failure);
    }
    context.say(format!(
        "stopping {service} once more, because its data is not captured"
    ));
    if let Err(failure) = bring_down(context, service, &controls, &within) {
        context.warn(format!("{failure}; bringing {service} back"));
        let patience = start_time(context);
        match bring_up(context, service, &back, lease.before, &patience)
            .and_then(|()| fulfil(context, &leases, service, &mut lease, &patience))
        {
            Ok(()) => context.warn(format!("{service} is up again")),
            Err(second) => context.warn(format!(
                "{service} could not be brought back ({second}); run --start {service} again"
            )),
        }
        return Err(failure);
    }
    Ok(Some(lease))
}

/// Returns true if an existing lease still decides the future of the service.
fn stands(lease: &Lease, state: &State, left: Option<Duration>) -> bool {
    match state {
        _ if lease.owed() => true,
        _ if lease.back.is_some() => false,
        // The service was down at the first `--stop`, and still is. One unclear answer does not change that.
        State::Down => true,
        State::Unclear(_) => left.is_some(),
        State::Up | State::Missing => false,
    }
}

fn promise(
    context: &mut Context<'_>,
    service: &ServiceName,
    state: &State,
    patience: &Patience<'_>,
) -> Result<Lease, Failure> {
    let before = Before {
        unclear: matches!(state, State::Unclear(_)),
        silent: *state != State::Down && does_not_answer(context, service, patience)?,
    };
    Ok(Lease {
        // Partly up counts as up: better to start the whole service than none.
        was_up: *state != State::Down,
        stopped: context.host.moment(),
        seconds: context.config.lease_of(service),
        kept_by: KeptBy::Nobody,
        back: None,
        before,
        earlier_ms: 0,
        first: None,
    })
}

/// Returns true if a service that was not touched yet does not answer a few questions. Then its start cannot wait for
/// an answer either.
fn does_not_answer(
    context: &mut Context<'_>,
    service: &ServiceName,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    for _ in 0..ASK {
        let Some(why) = silent(context, service, patience)? else {
            return Ok(false);
        };
        let what = format!("asking whether {service} answers ({why})");
        context
            .host
            .pause(ASK_AGAIN, patience)
            .map_err(|cause| Failure::Interrupted { what, cause })?;
    }
    context.warn(format!(
        "{service} does not answer (services.{service}.ready or ready_url), and is stopped all the same"
    ));
    Ok(true)
}

/// Brings a service back whose lease is over, before it may be stopped again.
fn settle(
    context: &mut Context<'_>,
    leases: &Leases,
    service: &ServiceName,
    controls: &Controls,
    state: &State,
    overdue: &Lease,
) -> Result<(), Failure> {
    let patience = start_time(context);
    if *state != State::Up {
        context.warn(format!(
            "{service} should have come back by now; bringing it back before it is stopped anew"
        ));
        bring_up(context, service, controls, overdue.before, &patience)?;
    }
    end(context, leases, service, Some(overdue), &patience)
}

/// Brings the service back after a failed stop.
fn take_back(
    context: &mut Context<'_>,
    leases: &Leases,
    service: &ServiceName,
    controls: &Controls,
    lease: &Lease,
    failure: &Failure,
) -> Result<(), Failure> {
    context.warn(format!("{failure}; bringing {service} back"));
    let patience = start_time(context);
    match bring_up(context, service, controls, lease.before, &patience) {
        Ok(()) => {
            end(context, leases, service, Some(lease), &patience)?;
            context.warn(format!("{service} is up again"));
        }
        Err(second) => context.warn(format!(
            "{service} could not be brought back ({second}); run --start {service} again"
        )),
    }
    Ok(())
}

/// The default time limit of a `--start`. No signal or vanished client ends it before.
fn start_time(context: &Context<'_>) -> Patience<'static> {
    let limit = Duration::from_secs(context.config.limits.start.default.into());
    Patience::unattended(context.host.now() + limit)
}
