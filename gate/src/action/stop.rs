//! `--stop`: record what is up, stop it, and be sure that it is down.
//!
//! Invariant: when this does not end with the service down, the service is brought back before the answer is
//! given, and where that fails too the record stays, so that the next `--start` does it.

use std::time::{Duration, Instant};

use super::{AGAIN, Context};
use crate::control::{Controls, State};
use crate::error::Failure;
use crate::host::{Exit, Patience, clock};
use crate::names::ServiceName;
use crate::program::{Output, Tether};
use crate::record::{Record, Records};

pub(super) fn stop(
    context: &mut Context<'_>,
    service: &ServiceName,
    until: Instant,
    timeout: Duration,
) -> Result<String, Failure> {
    let patience = Patience::attended(until);
    let _lock = context.lock(service.as_str(), "--stop", &patience)?;
    let controls = Controls::of(context.config, service, timeout);
    let records = Records::open(&context.config.state_dir)
        .map_err(Failure::io("the records of stopped services"))?;
    let recording = || Failure::io(format!("the record of {service}"));
    let record = records.load(service).map_err(recording())?;
    let state = state(context, &controls, &patience)?;
    if state == State::Missing {
        return Err(no_such(service));
    }
    if state == State::Down {
        if record.is_none() {
            let record = Record {
                was_up: false,
                stopped_at: clock::utc(),
            };
            records.save(service, &record).map_err(recording())?;
        }
        return Ok(format!("{service} was down already"));
    }
    // "It was up" may replace "it was down", never the other way round: what was up comes back.
    let fresh = !record.is_some_and(|record| record.was_up);
    if fresh {
        let record = Record {
            was_up: true,
            stopped_at: clock::utc(),
        };
        records.save(service, &record).map_err(recording())?;
    }
    match bring_down(context, service, &controls, &patience) {
        Ok(()) => Ok(format!("{service} is down")),
        Err(failure) => {
            context.warn(format!("{failure}; bringing {service} back"));
            let limit = Duration::from_secs(context.config.limits.start.default.into());
            let patience = Patience::unattended(context.host.now() + limit);
            match bring_up(context, service, &controls, &patience) {
                Ok(()) => {
                    records.clear(service).map_err(recording())?;
                    context.warn(format!("{service} is up again"));
                }
                Err(second) => context.warn(format!(
                    "{service} could not be brought back ({second}); run --start {service} again"
                )),
            }
            Err(failure)
        }
    }
}

fn bring_down(
    context: &mut Context<'_>,
    service: &ServiceName,
    controls: &Controls,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let what = format!("stopping {service}");
    let program = context.program(&what, controls.stop.clone(), Tether::Tied, Output::Relayed)?;
    let ended = context.host.run(&program, patience)?;
    if !ended.ok() {
        return Err(Failure::Tool {
            what,
            detail: ended.describe(),
        });
    }
    wait_for(context, service, controls, &State::Down, patience)
}

/// Starts a service and waits until it says that it is up.
pub(super) fn bring_up(
    context: &mut Context<'_>,
    service: &ServiceName,
    controls: &Controls,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let what = format!("starting {service}");
    let program = context.program(&what, controls.start.clone(), Tether::Free, Output::Relayed)?;
    let ended = context.host.run(&program, patience)?;
    if !ended.ok() {
        return Err(Failure::Tool {
            what,
            detail: ended.describe(),
        });
    }
    wait_for(context, service, controls, &State::Up, patience)
}

/// Asks a service how it is.
pub(super) fn state(
    context: &mut Context<'_>,
    controls: &Controls,
    patience: &Patience<'_>,
) -> Result<State, Failure> {
    // Free, though it starts nothing: ending all descendants after it would end a service that a start
    // command has just left running below us.
    let program = context.program(
        "the status command",
        controls.status.clone(),
        Tether::Free,
        Output::Captured,
    )?;
    let ended = context.host.run(&program, patience)?;
    Ok(match ended.exit {
        Exit::Code(0) => State::Up,
        Exit::Code(3) => State::Down,
        Exit::Code(4) => State::Missing,
        _ => State::Unclear(ended.describe()),
    })
}

fn no_such(service: &ServiceName) -> Failure {
    Failure::Tool {
        what: format!("controlling {service}"),
        detail: "its status command says that there is no such service (exit code 4)".into(),
    }
}

fn wait_for(
    context: &mut Context<'_>,
    service: &ServiceName,
    controls: &Controls,
    wanted: &State,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let mut last;
    loop {
        let now = state(context, controls, patience)?;
        if now == *wanted {
            return Ok(());
        }
        last = match now {
            State::Up => "it is still up".to_owned(),
            State::Down => "it is still down".to_owned(),
            State::Missing => return Err(no_such(service)),
            State::Unclear(detail) => format!("its status command says: {detail}"),
        };
        let goal = if *wanted == State::Up {
            "be up"
        } else {
            "be down"
        };
        context
            .host
            .pause(AGAIN, patience)
            .map_err(|cause| Failure::Interrupted {
                what: format!("waiting for {service} to {goal} ({last})"),
                cause,
            })?;
    }
}
