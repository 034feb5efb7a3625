//! Gathers what a step needs at the moment it starts: variables, environment, mask.

use super::Parts;
use super::environment::{build, working_dir};
use super::feed::LogId;
use super::step_task::Attempt;
use crate::domain::lifecycle::Run;
use crate::domain::variable::Variable;
use crate::secrets::{Masker, SecretKey};
use crate::store::{self, Content, Store};
use tokio::sync::watch;

/// Gathers what a step needs at the moment it starts.
pub(super) async fn attempt(
    parts: &Parts,
    log: LogId,
    run: &Run,
    stop: watch::Receiver<bool>,
) -> Result<Attempt, String> {
    let variables = variables(&parts.store, &parts.secrets).await?;
    let secrets: Vec<String> = variables
        .iter()
        .filter(|v| v.secret)
        .map(|v| v.value.clone())
        .collect();
    let masker =
        tokio::task::spawn_blocking(move || Masker::new(secrets.iter().map(String::as_str)))
            .await
            .map_err(|e| e.to_string())?
            .map_err(|e| format!("the secrets cannot be masked: {e}"))?;
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
        masker,
        step: step.step.clone(),
        supervisor: parts.supervisor.clone(),
        logs: parts.logs.clone(),
        clock: parts.clock.clone(),
        grace: parts.grace,
        stop,
    })
}

/// All variables in clear, for a step's environment.
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
