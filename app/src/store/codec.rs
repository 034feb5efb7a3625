//! How domain values are written into columns and read back.

use super::error::StoreError;
use crate::domain::names::{StepName, VariableKey};
use crate::domain::step::{Command, Retry, Step, timeout};
use chrono::{DateTime, Utc};
use rusqlite::Row;
use std::collections::BTreeMap;
use std::fmt::Display;

/// The columns of a step's definition, in the order of [`step_values`].
pub(super) const STEP_COLUMNS: &str =
    "name, program, args, rule, timeout_s, retries, retry_delay_s, env, working_dir";

/// Milliseconds since 1970-01-01 UTC.
pub(super) fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// Reads a time back.
pub(super) fn time(millis: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| corrupt("time")(millis))
}

/// Reads an optional time back.
pub(super) fn optional_time(millis: Option<i64>) -> Result<Option<DateTime<Utc>>, StoreError> {
    millis.map(time).transpose()
}

/// Turns the refusal of a stored value into an error of the store.
pub(super) fn corrupt<E: Display>(what: &'static str) -> impl Fn(E) -> StoreError {
    move |why| StoreError::Corrupt {
        what,
        why: why.to_string(),
    }
}

/// A step's definition as column values.
pub(super) struct StepValues {
    pub(super) name: String,
    pub(super) program: String,
    pub(super) args: String,
    pub(super) rule: &'static str,
    pub(super) timeout_s: u32,
    pub(super) retries: u32,
    pub(super) retry_delay_s: u32,
    pub(super) env: String,
    pub(super) working_dir: Option<String>,
}

/// Splits a step into column values.
pub(super) fn step_values(step: &Step) -> Result<StepValues, StoreError> {
    let env: BTreeMap<&str, &str> = step
        .env
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    Ok(StepValues {
        name: step.name.as_str().to_owned(),
        program: step.command.program().to_owned(),
        args: serde_json::to_string(step.command.args()).map_err(corrupt("args"))?,
        rule: step.rule.as_str(),
        timeout_s: step.timeout_s.get(),
        retries: step.retry.count,
        retry_delay_s: step.retry.delay_s,
        env: serde_json::to_string(&env).map_err(corrupt("env"))?,
        working_dir: step.working_dir.clone(),
    })
}

/// Reads a step back from columns named as in [`STEP_COLUMNS`].
pub(super) fn step(row: &Row<'_>) -> Result<Step, StoreError> {
    let args: String = row.get("args")?;
    let args: Vec<String> = serde_json::from_str(&args).map_err(corrupt("args"))?;
    let env: String = row.get("env")?;
    let env: BTreeMap<String, String> = serde_json::from_str(&env).map_err(corrupt("env"))?;
    let rule: String = row.get("rule")?;
    let program: String = row.get("program")?;
    let name: String = row.get("name")?;
    Ok(Step {
        name: StepName::new(name).map_err(corrupt("step name"))?,
        command: Command::new(program, args).map_err(corrupt("command"))?,
        rule: rule.parse().map_err(corrupt("rule"))?,
        timeout_s: timeout(row.get("timeout_s")?).map_err(corrupt("timeout_s"))?,
        retry: Retry::new(row.get("retries")?, row.get("retry_delay_s")?)
            .map_err(corrupt("retries"))?,
        env: env
            .into_iter()
            .map(|(key, value)| Ok((VariableKey::new(key)?, value)))
            .collect::<Result<_, crate::domain::field::FieldError>>()
            .map_err(corrupt("env"))?,
        working_dir: row.get("working_dir")?,
    })
}
