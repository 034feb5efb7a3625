//! Gathers the needs of a step at the moment it starts: variables, environment, mask.

use super::Parts;
use super::environment::{build, working_dir};
use super::feed::LogId;
use super::step_task::Attempt;
use crate::blocking::{self, BlockingError};
use crate::domain::lifecycle::Run;
use crate::domain::outcome::Outcome;
use crate::domain::variable::Variable;
use crate::panics::abort;
use crate::secrets::{Masker, SecretKey};
use crate::store::{self, Content, Store};
use tokio::sync::watch;

/// Gathers a step's variables, environment and mask when it starts. An error is the outcome of the step.
pub(super) async fn attempt(
    parts: &Parts,
    log: LogId,
    run: &Run,
    stop: watch::Receiver<bool>,
) -> Result<Attempt, Outcome> {
    let variables = variables(&parts.store, &parts.secrets)
        .await
        .map_err(Outcome::CannotStart)?;
    let secrets: Vec<String> = variables
        .iter()
        .filter(|v| v.secret)
        .map(|v| v.value.clone())
        .collect();
    let (known, id) = (parts.run_secrets.clone(), run.id);
    let mask = blocking::run(move || known.mask(id, secrets))
        .await
        .map_err(|error| match error {
            BlockingError::NoThread(_) => Outcome::OutOfResources(error.to_string()),
            // The mask is part of the engine: without it secrets would stand in logs.
            BlockingError::Panicked(_) => abort(),
        })?
        .map_err(|e| Outcome::CannotStart(format!("the secrets cannot be masked: {e}")))?;
    let step = &run.steps[log.position];
    Ok(Attempt {
        id: log,
        env: build(
            run,
            log.position,
            &variables,
            &parts.folders,
            parts.zone.get(),
        ),
        dir: working_dir(step.step.working_dir.as_deref(), &parts.folders),
        masker: Masker::new(mask),
        step: step.step.clone(),
        supervisor: parts.supervisor.clone(),
        logs: parts.logs.clone(),
        clock: parts.clock.clone(),
        grace: parts.grace,
        stop,
    })
}

/// Variables in clear, for a step's environment.
async fn variables(store: &Store, secrets: &SecretKey) -> Result<Vec<Variable>, String> {
    let stored = store
        .read(store::variables::list)
        .await
        .map_err(|e| format!("the variables cannot be read: {e}"))?;
    stored
        .into_iter()
        .map(|variable| {
            let (value, secret) = match variable.content {
                Content::Plain(value) => (value, false),
                Content::Sealed(sealed) => {
                    let value = secrets.open(variable.key.as_str(), &sealed);
                    (value.map_err(|e| e.to_string())?, true)
                }
            };
            Ok(Variable {
                key: variable.key,
                value,
                secret,
            })
        })
        .collect()
}
