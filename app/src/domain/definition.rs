//! The definition of a task as text and numbers: the one shape that the API, forms, the command
//! line, exports, the audit trail and the database share. [`Task`] is its checked form.

use super::cron::CronExpr;
use super::field::FieldError;
use super::names::{PoolName, StepName, TaskName, VariableKey};
use super::schedule::parse_zone;
use super::step::{self, Command, DEFAULT_TIMEOUT_S, Retry, RunRule, Step};
use super::task::{MissedPolicy, Retention, Steps, Task};
use super::variable::check_value;
use super::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Arguments: a list, or one line that is split as a shell splits words (quotes and
/// backslashes work, nothing is expanded).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Args {
    /// One element per argument.
    List(Vec<String>),
    /// A line to split.
    Line(String),
}

impl Default for Args {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Args {
    /// The arguments one by one.
    ///
    /// # Errors
    /// A line with an open quote.
    pub fn split(&self) -> Result<Vec<String>, FieldError> {
        match self {
            Self::List(list) => Ok(list.clone()),
            Self::Line(line) => words::split(line).ok_or_else(|| {
                FieldError::new(
                    "args",
                    format!("{line:?} has an open quote or a backslash at its end; close it"),
                )
            }),
        }
    }
}

/// A step as it is sent and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepBody {
    /// Unique within the task.
    pub name: String,
    /// The program, looked up in PATH unless it holds a `/`.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Args,
    /// `on_success`, `on_failure` or `always`.
    #[serde(default = "on_success")]
    pub rule: String,
    /// Seconds one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
    /// Attempts after the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// Seconds between attempts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_delay: u32,
    /// A failure is shown; it does not fail the run and does not break `on_success`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_fail: bool,
    /// Environment of this step alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Directory to run in, relative to the scripts folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
}

fn on_success() -> String {
    RunRule::OnSuccess.as_str().to_owned()
}

fn default_timeout() -> u32 {
    DEFAULT_TIMEOUT_S
}

fn default_pool() -> String {
    PoolName::default_pool().to_string()
}

fn yes() -> bool {
    true
}

fn run_once() -> String {
    MissedPolicy::default().as_str().to_owned()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for StepBody {
    fn default() -> Self {
        Self {
            name: String::new(),
            command: String::new(),
            args: Args::default(),
            rule: on_success(),
            timeout: default_timeout(),
            retries: 0,
            retry_delay: 0,
            may_fail: false,
            env: BTreeMap::new(),
            working_dir: None,
        }
    }
}

impl From<&Step> for StepBody {
    fn from(step: &Step) -> Self {
        Self {
            name: step.name.to_string(),
            command: step.command.program().to_owned(),
            args: Args::List(step.command.args().to_vec()),
            rule: step.rule.as_str().to_owned(),
            timeout: step.timeout_s.get(),
            retries: step.retry.count,
            retry_delay: step.retry.delay_s,
            may_fail: step.may_fail,
            env: step
                .env
                .iter()
                .map(|(k, v)| (k.to_string(), v.clone()))
                .collect(),
            working_dir: step.working_dir.clone(),
        }
    }
}

impl TryFrom<&StepBody> for Step {
    type Error = Vec<FieldError>;

    fn try_from(body: &StepBody) -> Result<Self, Vec<FieldError>> {
        let mut errors = Errors::default();
        match body.check(&mut errors) {
            Some(step) if errors.0.is_empty() => Ok(step),
            _ => Err(errors.0),
        }
    }
}

impl StepBody {
    fn check(&self, errors: &mut Errors) -> Option<Step> {
        let name = errors.keep(StepName::new(self.name.as_str()));
        let args = errors.keep(self.args.split());
        let command = args.and_then(|args| errors.keep(Command::new(self.command.as_str(), args)));
        let rule = errors.keep(self.rule.parse());
        let timeout_s = errors.keep(step::timeout(self.timeout));
        let retry = errors.keep(Retry::new(self.retries, self.retry_delay));
        let mut env = BTreeMap::new();
        for (key, value) in &self.env {
            let checked = check_value(&format!("env.{key}"), value);
            let key = VariableKey::new(key.as_str())
                .map_err(|e| FieldError::new(format!("env.{key}"), e.problem));
            if let (Some(key), Some(())) = (errors.keep(key), errors.keep(checked)) {
                env.insert(key, value.clone());
            }
        }
        let working_dir = self.working_dir.clone().filter(|dir| !dir.is_empty());
        if working_dir.as_ref().is_some_and(|dir| dir.contains('\0')) {
            errors.add(FieldError::new("working_dir", "must not hold a NUL byte"));
        }
        Some(Step {
            name: name?,
            command: command?,
            rule: rule?,
            timeout_s: timeout_s?,
            retry: retry?,
            may_fail: self.may_fail,
            env,
            working_dir,
        })
    }
}

/// A task as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskBody {
    /// Unique among tasks.
    pub name: String,
    /// When it fires: five fields of crontab(5) or `@daily` and the like. Absent or
    /// empty: on demand only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// IANA time zone of the CRON expression; the server's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The pool its steps queue in.
    #[serde(default = "default_pool")]
    pub pool: String,
    /// Whether its CRON expression is followed.
    #[serde(default = "yes")]
    pub auto: bool,
    /// `run_once` or `skip`: what happens to fires missed while the machine was off.
    #[serde(default = "run_once")]
    pub on_missed: String,
    /// Finished runs kept. Absent: as many as the settings say of new tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_runs: Option<u32>,
    /// Days a finished run is kept. Absent: as many as the settings say of new tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// The steps in order.
    pub steps: Vec<StepBody>,
}

impl TaskBody {
    /// A definition with the default of every field but these.
    pub fn new(name: String, steps: Vec<StepBody>) -> Self {
        Self {
            name,
            cron: None,
            zone: None,
            pool: default_pool(),
            auto: yes(),
            on_missed: run_once(),
            keep_runs: None,
            keep_days: None,
            steps,
        }
    }

    /// Fills in the retention where the body has none.
    pub fn set_default_retention(&mut self, default: Retention) {
        self.keep_runs.get_or_insert(default.runs);
        self.keep_days.get_or_insert(default.days);
    }
}

impl From<&Task> for TaskBody {
    fn from(task: &Task) -> Self {
        Self {
            name: task.name.to_string(),
            cron: task.cron.as_ref().map(ToString::to_string),
            zone: task.zone.map(|z| z.name().to_owned()),
            pool: task.pool.to_string(),
            auto: task.auto,
            on_missed: task.on_missed.as_str().to_owned(),
            keep_runs: Some(task.retention.runs),
            keep_days: Some(task.retention.days),
            steps: task.steps().iter().map(StepBody::from).collect(),
        }
    }
}

impl TryFrom<&TaskBody> for Task {
    type Error = Vec<FieldError>;

    fn try_from(body: &TaskBody) -> Result<Self, Vec<FieldError>> {
        let mut errors = Errors::default();
        let name = errors.keep(TaskName::new(body.name.as_str()));
        let cron = errors.keep(cron(body.cron.as_deref()));
        let zone = errors.keep(zone(body.zone.as_deref()));
        let pool = errors.keep(PoolName::new(body.pool.as_str()));
        let on_missed = errors.keep(body.on_missed.parse());
        let usual = Retention::default();
        let retention = errors.keep(Retention::new(
            body.keep_runs.unwrap_or(usual.runs),
            body.keep_days.unwrap_or(usual.days),
        ));
        let mut steps = Vec::new();
        for (index, step) in body.steps.iter().enumerate() {
            let mut inner = Errors::default();
            steps.extend(step.check(&mut inner));
            for error in inner.0 {
                errors.add(error.inside(&format!("steps[{index}]")));
            }
        }
        let checked = match (name, cron, zone, pool, on_missed, retention) {
            (Some(name), Some(cron), Some(zone), Some(pool), Some(on_missed), Some(retention))
                if errors.0.is_empty() =>
            {
                (name, cron, zone, pool, on_missed, retention)
            }
            _ => return Err(errors.0),
        };
        let (name, cron, zone, pool, on_missed, retention) = checked;
        Ok(Self {
            name,
            cron,
            zone,
            pool,
            auto: body.auto,
            on_missed,
            retention,
            steps: Steps::new(steps).map_err(|error| vec![error])?,
        })
    }
}

fn cron(text: Option<&str>) -> Result<Option<CronExpr>, FieldError> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|e: crate::domain::cron::CronError| FieldError::new("cron", e.to_string())),
    }
}

fn zone(text: Option<&str>) -> Result<Option<crate::zones::Zone>, FieldError> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => parse_zone(text)
            .map(Some)
            .map_err(|e| FieldError::new("zone", e.to_string())),
    }
}

/// Collects refusals, so that a person sees all of them at once.
#[derive(Debug, Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn keep<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn add(&mut self, error: FieldError) {
        self.0.push(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refused_field_is_named_at_once() {
        let body: TaskBody = serde_json::from_value(serde_json::json!({
            "name": "", "cron": "61 * * * *", "zone": "Europe/Pariss", "pool": "a b",
            "steps": [{"name": "s", "command": "", "timeout": 0, "rule": "sometimes"}],
        }))
        .unwrap();
        let errors = Task::try_from(&body).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "cron",
                "zone",
                "pool",
                "steps[0].command",
                "steps[0].rule",
                "steps[0].timeout"
            ]
        );
    }

    #[test]
    fn a_line_of_arguments_is_split_like_a_shell_splits_words() {
        let body: TaskBody = serde_json::from_value(serde_json::json!({
            "name": "t", "steps": [{"name": "s", "command": "echo", "args": "a 'b c' \"d\"\\ e $HOME"}],
        }))
        .unwrap();
        let task = Task::try_from(&body).unwrap();
        assert_eq!(task.steps()[0].command.args(), ["a", "b c", "d e", "$HOME"]);
        assert_eq!(Task::try_from(&TaskBody::from(&task)).unwrap(), task);
    }

    #[test]
    fn two_steps_of_one_name_are_refused() {
        let body: TaskBody = serde_json::from_value(serde_json::json!({
            "name": "t", "steps": [{"name": "s", "command": "a"}, {"name": "s", "command": "b"}],
        }))
        .unwrap();
        let errors = Task::try_from(&body).unwrap_err();
        assert_eq!(errors[0].field, "steps[1].name");
    }
}
