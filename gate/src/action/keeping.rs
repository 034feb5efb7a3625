//! Makes sure that every open lease has a keeper, and that the keeper ends with the lease.
//!
//! Invariant: once [`keep`] has returned success, the service comes back, even if this process is killed.

use std::time::{Duration, Instant};

use super::Context;
use crate::keeper;
use crate::lease::store::Leases;
use crate::lease::{KeptBy, Lease};
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::names::ServiceName;
use host::Patience;
use host::program::{Output, Tether};

/// The time limit for systemd to answer a question about a timer, or to end one. No result depends on either.
const SYSTEMD: Duration = Duration::from_secs(5);

/// The time limit for an action to look after the leases of other services.
const OTHERS: Duration = Duration::from_secs(10);

impl Context<'_> {
    /// The leases of this host.
    pub(super) fn leases(&self) -> Result<Leases, Failure> {
        let config = self.config;
        Leases::open(&config.state_dir, config.lease.seconds).map_err(Failure::io(format!(
            "the leases of stopped services in {}",
            config.state_dir
        )))
    }
}

/// Makes sure that a lease has a keeper, if the service still has to be brought back.
pub(super) fn keep(
    context: &mut Context<'_>,
    leases: &Leases,
    service: &ServiceName,
    lease: &mut Lease,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    if !lease.owed() || is_kept(context, leases, service, lease, patience) {
        return Ok(());
    }
    let kept_by = keeper::choose(context.config);
    if lease.kept_by != kept_by {
        lease.kept_by = kept_by;
        leases
            .save(service, lease)
            .map_err(Failure::io(format!("the lease of {service}")))?;
    }
    let what = format!("seeing to it that {service} comes back");
    if kept_by == KeptBy::Process {
        return context
            .host
            .detach(&what, &keeper::words(context.config, service), patience);
    }
    let left = lease.left(&context.host.moment()).unwrap_or_default();
    let argv = keeper::make_timer(context.config, service, lease.stopped.utc, left);
    let program = context.program(&what, argv, Tether::Free, Output::Captured)?;
    let ended = context.host.run(&program, patience)?;
    if ended.ok() {
        return Ok(());
    }
    Err(Failure::Tool {
        what,
        detail: format!(
            "systemd-run: {}; lease.keeper = \"process\" does without",
            ended.describe()
        ),
    })
}

/// Returns true if the lease has a keeper.
pub(super) fn is_kept(
    context: &mut Context<'_>,
    leases: &Leases,
    service: &ServiceName,
    lease: &Lease,
    patience: &Patience<'_>,
) -> bool {
    match lease.kept_by {
        KeptBy::Nobody => false,
        KeptBy::Process => leases.is_kept(service),
        KeptBy::Systemd => {
            let argv = keeper::ask_timer(service, lease.stopped.utc);
            context
                .program("asking for the timer", argv, Tether::Free, Output::Captured)
                .and_then(|program| {
                    let until = patience.until.min(context.host.now() + SYSTEMD);
                    context.host.run(&program, &Patience { until, ..*patience })
                })
                .is_ok_and(|ended| keeper::timer_runs(&ended.stdout))
        }
    }
}

/// Ends a lease: the service is up. The keeper has no work left, and a leftover keeper does no harm.
pub(super) fn end(
    context: &mut Context<'_>,
    leases: &Leases,
    service: &ServiceName,
    lease: Option<&Lease>,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    leases
        .clear(service)
        .map_err(Failure::io(format!("the lease of {service}")))?;
    dismiss(context, service, lease, patience);
    Ok(())
}

/// Marks a lease as fulfilled before a `--start` asked for the service.
pub(super) fn fulfil(
    context: &mut Context<'_>,
    leases: &Leases,
    service: &ServiceName,
    lease: &mut Lease,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    lease.back = Some(context.host.moment());
    leases
        .save(service, lease)
        .map_err(Failure::io(format!("the lease of {service}")))?;
    dismiss(context, service, Some(lease), patience);
    Ok(())
}

fn dismiss(
    context: &mut Context<'_>,
    service: &ServiceName,
    lease: Option<&Lease>,
    patience: &Patience<'_>,
) {
    // A keeper process notices that the file of its lease is gone.
    if let Some(lease) = lease.filter(|lease| lease.kept_by == KeptBy::Systemd) {
        let argv = keeper::end_timer(service, lease.stopped.utc);
        let until = patience.until.min(context.host.now() + SYSTEMD);
        let within = Patience { until, ..*patience };
        let ended = context
            .program("ending the timer", argv, Tether::Free, Output::Captured)
            .and_then(|program| context.host.run(&program, &within));
        if let Err(failure) = ended {
            context.warn(format!("{failure}; it will find nothing to do"));
        }
    }
}

/// Looks after all leases but one, and starts a new keeper for each lease without one. Keepers may have been killed, or
/// have died with a reboot. This takes little of the action's time, and gives way to a start.
pub(super) fn guard(context: &mut Context<'_>, except: Option<&ServiceName>, until: Instant) {
    let until = until.min(context.host.now() + OTHERS);
    let Ok(leases) = context.leases() else {
        return;
    };
    for service in leases.services().unwrap_or_default() {
        if except == Some(&service) || !context.config.services.contains_key(&service) {
            continue;
        }
        // An action that holds the service's lock looks after this lease itself, and may be writing or ending it right
        // now.
        let directory = &context.config.lock_dir;
        let Ok(Some(lock)) =
            ServiceLock::try_take(directory, &LockName::service(&service), "its lease")
        else {
            continue;
        };
        let patience = Patience::attended(until).yielding(&lock);
        let kept = match leases.load(&service) {
            Ok(Some(mut lease)) => keep(context, &leases, &service, &mut lease, &patience),
            _ => Ok(()),
        };
        if let Err(failure) = kept {
            context.warn(failure.to_string());
        }
    }
}
