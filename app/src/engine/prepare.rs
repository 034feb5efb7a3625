//! Gathers the needs of a step at the moment it starts: variables, environment, mask.

use super::Parts;
use super::environment::{build, working_dir};
use super::feed::LogId;
use super::run_secrets::RunSecrets;
use super::step_task::{Attempt, StopWish};
use crate::blocking::{self, BlockingError};
use crate::domain::lifecycle::{Run, RunId};
use crate::domain::outcome::Outcome;
use crate::domain::step::Step;
use crate::domain::variable::Variable;
use crate::panics::abort;
use crate::secrets::{Mask, Masker, SecretKey};
use crate::store::{self, Content, Store};
use nix::sys::resource::{Resource, getrlimit};
use std::sync::Arc;
use tokio::sync::watch;

/// Gathers a step's variables, environment and mask when it starts. An error is the outcome of the step.
pub(super) async fn attempt(
    parts: &Parts,
    log: LogId,
    run: &Run,
    stop: watch::Receiver<StopWish>,
) -> Result<Attempt, Outcome> {
    // First: it starts while the rest is gathered.
    let supervisor = parts.supervisors.take();
    let (mut variables, mut notes) = variables(&parts.store, &parts.secrets)
        .await
        .map_err(Outcome::CannotStart)?;
    let secrets: Vec<String> = variables
        .iter()
        .filter(|v| v.secret)
        .map(|v| v.value.clone())
        .collect();
    let mask = mask(&parts.run_secrets, run.id, secrets).await?;
    let step = &run.steps[log.position];
    notes.extend(leave_out_the_largest(&mut variables, &step.step));
    let libraries = parts.libraries.for_step();
    Ok(Attempt {
        notes,
        id: log,
        env: build(
            run,
            log.position,
            &variables,
            &libraries,
            &parts.folders,
            parts.zone.get(),
        ),
        _libraries: libraries,
        dir: working_dir(step.step.working_dir.as_deref(), &parts.folders),
        masker: Masker::new(mask),
        step: step.step.clone(),
        supervisor,
        supervisors: parts.supervisors.clone(),
        logs: parts.logs.clone(),
        clock: parts.clock.clone(),
        grace: parts.grace,
        stop,
    })
}

async fn mask(known: &RunSecrets, run: RunId, values: Vec<String>) -> Result<Arc<Mask>, Outcome> {
    if let Some(mask) = known.known_mask(run, &values) {
        return Ok(mask);
    }
    let known = known.clone();
    blocking::run(move || known.mask(run, values))
        .await
        .map_err(|error| match error {
            BlockingError::NoThread(_) => Outcome::OutOfResources(error.to_string()),
            // The mask is part of the engine: without it secrets would stand in logs.
            BlockingError::Panicked(_) => abort(),
        })?
        .map_err(|e| Outcome::CannotStart(format!("the secrets cannot be masked: {e}")))
}

/// Variables in clear, for a step's environment, and a note about each one that cannot be opened. Such a variable costs
/// no step: the one that brings a service back may not need it.
async fn variables(
    store: &Store,
    secrets: &SecretKey,
) -> Result<(Vec<Variable>, Vec<String>), String> {
    let stored = store
        .read(store::variables::list)
        .await
        .map_err(|e| format!("the variables cannot be read: {e}"))?;
    let (mut variables, mut notes) = (Vec::new(), Vec::new());
    for variable in stored {
        let (value, secret) = match variable.content {
            Content::Plain(value) => (value, false),
            Content::Sealed(sealed) => match secrets.open(variable.key.as_str(), &sealed) {
                Ok(value) => (value, true),
                Err(error) => {
                    notes.push(format!("the step runs without {}: {error}", variable.key));
                    continue;
                }
            },
        };
        variables.push(Variable {
            key: variable.key,
            value,
            secret,
        });
    }
    Ok((variables, notes))
}

/// Bytes of arguments and environment that execve(2) always takes.
const LEAST_ROOM: usize = 128 * 1024;
/// Most bytes that it takes, however large the stack may be.
const MOST_ROOM: usize = 6 * 1024 * 1024;
/// Bytes of each string beside its text: the NUL byte and the pointer.
const BESIDE: usize = 9;
/// Bytes for the runner's own variables and for the supervisor's name.
const OWN: usize = 16 * 1024;

/// Takes the largest variables out until the step can be started at all, and notes each. Otherwise a hundred large
/// variables fail every step of every task with "Argument list too long".
fn leave_out_the_largest(variables: &mut Vec<Variable>, step: &Step) -> Vec<String> {
    // A quarter of the stack's limit (execve(2), "Limits on size of arguments and environment").
    let stack = getrlimit(Resource::RLIMIT_STACK).map_or(0, |(soft, _)| soft / 4);
    let room = usize::try_from(stack)
        .unwrap_or(usize::MAX)
        .clamp(LEAST_ROOM, MOST_ROOM);
    let words = step.command.args().iter().map(|arg| arg.len() + BESIDE);
    let own = step
        .env
        .iter()
        .map(|(key, value)| key.as_str().len() + value.len() + BESIDE);
    let taken = OWN + step.command.program().len() + words.chain(own).sum::<usize>();
    let size = |v: &Variable| v.key.as_str().len() + 1 + v.value.len() + BESIDE;
    let mut left = variables.iter().map(size).sum::<usize>() + taken;
    let mut notes = Vec::new();
    while left > room {
        let largest = (0..variables.len()).max_by_key(|at| size(&variables[*at]));
        let Some(largest) = largest else {
            break;
        };
        let gone = variables.remove(largest);
        left -= size(&gone);
        notes.push(format!(
            "the step runs without {}: all variables together are larger than the {room} bytes that a program can get; make some smaller",
            gone.key
        ));
    }
    notes
}
