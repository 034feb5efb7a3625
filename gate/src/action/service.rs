//! Stopping and starting a service, and checking its state.
//!
//! Invariant: a service is down, or up, when its status command says so. It is back when it is up and answers.

use std::time::Duration;

use super::{AGAIN, Context};
use crate::control::{Controls, State};
use crate::lease::Before;
use base::error::{Failure, Interrupt};
use base::names::ServiceName;
use host::program::{Output, Tether};
use host::{Exit, Patience};

/// The number of times that an unclear state is asked for before it counts as unclear: between up and down.
const UNCLEAR: u32 = 10;

/// The time to wait for a service to be up if it was neither up nor down before its stop.
const UNCLEAR_FOR: Duration = Duration::from_secs(10);

/// The time limit of one attempt to get an answer, and the pause before the next one.
const ANSWER: Duration = Duration::from_secs(5);
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(300);

/// Stops a service, and waits until its status command says that it is down.
pub(super) fn bring_down(
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

/// Starts a service, and waits until it is up and answers, or is at least in the state it had before the stop.
pub(super) fn bring_up(
    context: &mut Context<'_>,
    service: &ServiceName,
    controls: &Controls,
    before: Before,
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
    if before.unclear {
        wait_for_clear(context, service, controls, patience)?;
    } else {
        wait_for(context, service, controls, &State::Up, patience)?;
    }
    if before.silent {
        context.warn(format!(
            "{service} did not answer before it was stopped, so it is not waited for an answer now"
        ));
        return Ok(());
    }
    wait_for_answer(context, service, patience)
}

/// Waits for a service that was between up and down before its stop: until it is up or, if that takes long, until it is
/// no longer down.
fn wait_for_clear(
    context: &mut Context<'_>,
    service: &ServiceName,
    controls: &Controls,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let now = context.host.now();
    let left = patience.until.saturating_duration_since(now);
    let until = now + UNCLEAR_FOR.min(left / 2);
    let within = Patience { until, ..*patience };
    match wait_for(context, service, controls, &State::Up, &within) {
        Err(Failure::Interrupted {
            cause: Interrupt::DeadlinePassed,
            ..
        }) => {}
        other => return other,
    }
    loop {
        match state(context, controls, patience)? {
            State::Up => return Ok(()),
            State::Missing => return Err(no_such(service)),
            State::Unclear(detail) => {
                context.warn(format!(
                    "{service} is neither up nor down ({detail}), as it was before it was stopped"
                ));
                return Ok(());
            }
            State::Down => pause(context, service, "be up (it is still down)", patience)?,
        }
    }
}

/// Waits until a service that is up answers, if the configuration has a ready command or URL.
pub(super) fn wait_for_answer(
    context: &mut Context<'_>,
    service: &ServiceName,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    context.host.waiting(&format!("{service} to answer"));
    while let Some(why) = silent(context, service, patience)? {
        let what = format!("waiting for {service} to answer ({why})");
        context
            .host
            .pause(ASK_AGAIN, patience)
            .map_err(|cause| Failure::Interrupted { what, cause })?;
    }
    Ok(())
}

/// The reason that a service does not answer yet; `None` if it answers, or if no check is configured.
pub(super) fn silent(
    context: &mut Context<'_>,
    service: &ServiceName,
    patience: &Patience<'_>,
) -> Result<Option<String>, Failure> {
    let config = context.config;
    let Some(service) = config.services.get(service) else {
        return Ok(None);
    };
    let until = patience.until.min(context.host.now() + ANSWER);
    if let Some(url) = &service.ready_url {
        let time = until.saturating_duration_since(context.host.now());
        return Ok(context.host.ask(url, time).err());
    }
    let Some(ready) = &service.ready else {
        return Ok(None);
    };
    // Free for the same reason as in [`state`].
    let program = context.program(
        "the ready command",
        ready.argv().to_vec(),
        Tether::Free,
        Output::Silent,
    )?;
    let within = Patience { until, ..*patience };
    match context.host.run(&program, &within) {
        Ok(ended) if ended.ok() => Ok(None),
        Ok(ended) => Ok(Some(ended.describe())),
        Err(Failure::Interrupted {
            cause: Interrupt::DeadlinePassed,
            ..
        }) => Ok(Some(format!(
            "the ready command took more than {} s",
            ANSWER.as_secs()
        ))),
        Err(failure) => Err(failure),
    }
}

/// Asks a service for its state.
pub(super) fn state(
    context: &mut Context<'_>,
    controls: &Controls,
    patience: &Patience<'_>,
) -> Result<State, Failure> {
    // Free, though the command starts no service: ending all descendants afterwards would end a service that a start
    // command has just left running below this process.
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

/// Asks a service for its state until the answer is clear, but not for long: a stack that is partly up stays so.
pub(super) fn settled_state(
    context: &mut Context<'_>,
    service: &ServiceName,
    controls: &Controls,
    patience: &Patience<'_>,
) -> Result<State, Failure> {
    let mut asked = 0;
    loop {
        let state = state(context, controls, patience)?;
        asked += 1;
        match state {
            State::Missing => return Err(no_such(service)),
            State::Unclear(_) if asked < UNCLEAR => pause(context, service, "be clear", patience)?,
            clear => return Ok(clear),
        }
    }
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
    let goal = if *wanted == State::Up {
        "be up"
    } else {
        "be down"
    };
    context.host.waiting(&format!("{service} to {goal}"));
    loop {
        let now = state(context, controls, patience)?;
        if now == *wanted {
            return Ok(());
        }
        let last = match now {
            State::Up => "it is still up".to_owned(),
            State::Down => "it is still down".to_owned(),
            State::Missing => return Err(no_such(service)),
            State::Unclear(detail) => format!("its status command says: {detail}"),
        };
        pause(context, service, &format!("{goal} ({last})"), patience)?;
    }
}

fn pause(
    context: &mut Context<'_>,
    service: &ServiceName,
    goal: &str,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    context
        .host
        .pause(AGAIN, patience)
        .map_err(|cause| Failure::Interrupted {
            what: format!("waiting for {service} to {goal}"),
            cause,
        })
}
