//! `--start`: bring back what `--stop` found up.
//!
//! Invariant: nothing but its deadline ends a start. A vanished ssh client or a signal does not, and a sync or
//! archive of the same service gives way to it.

use std::time::{Duration, Instant};

use super::stop::{bring_up, state};
use super::{AGAIN, Context};
use crate::control::{Controls, State};
use crate::error::Failure;
use crate::host::Patience;
use crate::host::lock::{ServiceLock, StartIntent};
use crate::names::ServiceName;
use crate::record::Records;

pub(super) fn start(
    context: &mut Context<'_>,
    service: &ServiceName,
    until: Instant,
    timeout: Duration,
) -> Result<String, Failure> {
    let patience = Patience::unattended(until);
    let _lock = lock_first(context, service, &patience)?;
    let controls = Controls::of(context.config, service, timeout);
    let records = Records::open(&context.config.state_dir);
    let again = |error: &std::io::Error| std::io::Error::new(error.kind(), error.to_string());
    let loaded = match &records {
        Ok(records) => records.load(service),
        Err(error) => Err(again(error)),
    };
    let record = loaded.unwrap_or_else(|error| {
        // A record that cannot be read must not keep a service down.
        context.warn(format!(
            "the record of {service} cannot be read ({error}); starting it"
        ));
        None
    });
    let clear = || match &records {
        Ok(records) => records
            .clear(service)
            .map_err(Failure::io(format!("the record of {service}"))),
        // There is none to clear.
        Err(_) => Ok(()),
    };
    if record.is_some_and(|record| !record.was_up)
        && state(context, &controls, &patience)? == State::Down
    {
        clear()?;
        return Ok(format!("{service} was down before the stop and stays down"));
    }
    bring_up(context, service, &controls, &patience)?;
    clear()?;
    Ok(format!("{service} is up"))
}

/// Takes the lock; a sync or archive that holds it is asked to give way.
fn lock_first(
    context: &mut Context<'_>,
    service: &ServiceName,
    patience: &Patience<'_>,
) -> Result<ServiceLock, Failure> {
    let directory = &context.config.lock_dir;
    let (name, locking) = (service.as_str(), || {
        Failure::io(format!("the lock of {service} in {directory}"))
    });
    let mut intent = StartIntent::announce(directory, name).map_err(locking())?;
    let mut told = false;
    loop {
        if let Some(lock) = ServiceLock::try_take(directory, name, "--start").map_err(locking())? {
            return Ok(lock);
        }
        if !intent.is_known() {
            intent = StartIntent::announce(directory, name).map_err(locking())?;
        }
        let holder =
            ServiceLock::holder(directory, name).unwrap_or_else(|| "another action".into());
        if !told {
            told = true;
            context.say(format!("asking {holder} to give way"));
        }
        context
            .host
            .pause(AGAIN, patience)
            .map_err(|cause| Failure::Interrupted {
                what: format!("waiting for {holder}, which is working on {service}"),
                cause,
            })?;
    }
}
