//! The form of a task as text: the typed values, valid or not.

use super::form::{Fields, number};
use crate::domain::field::FieldError;
use crate::domain::names::PoolName;
use crate::domain::task::{MissedPolicy, Retention, Task};
use crate::domain::words;
use crate::view::{Args, StepBody, TaskBody};
use readable::quoted;
use std::collections::BTreeMap;

/// A task as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskForm {
    pub(super) name: String,
    pub(super) cron: String,
    pub(super) zone: String,
    pub(super) pool: String,
    pub(super) auto: bool,
    pub(super) on_missed: String,
    pub(super) keep_runs: String,
    pub(super) keep_days: String,
    pub(super) steps: Vec<StepForm>,
}

/// A step as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepForm {
    pub(super) name: String,
    /// The program; further words are its first arguments.
    pub(super) command: String,
    pub(super) args: String,
    pub(super) rule: String,
    pub(super) timeout: String,
    pub(super) retries: String,
    pub(super) retry_delay: String,
    pub(super) may_fail: bool,
    pub(super) env: String,
    pub(super) working_dir: String,
}

/// A change of the steps by a button of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepChange {
    Add,
    Remove(usize),
    Up(usize),
    Down(usize),
}

impl StepChange {
    /// Reads the value of the button that was pressed; none for Save.
    pub(super) fn read(fields: &Fields) -> Option<Self> {
        let text = fields.text("do");
        let (what, position) = text.split_once(':').unwrap_or((&text, "0"));
        let position = position.parse().ok()?;
        match what {
            "add" => Some(Self::Add),
            "remove" => Some(Self::Remove(position)),
            "up" => Some(Self::Up(position)),
            "down" => Some(Self::Down(position)),
            _ => None,
        }
    }
}

impl TaskForm {
    /// The form of a new task that keeps its runs so.
    pub(super) fn keeping(retention: Retention) -> Self {
        Self {
            keep_runs: retention.runs.to_string(),
            keep_days: retention.days.to_string(),
            ..Self::default()
        }
    }
}

impl Default for TaskForm {
    fn default() -> Self {
        let retention = Retention::default();
        Self {
            name: String::new(),
            cron: String::new(),
            zone: String::new(),
            pool: PoolName::default_pool().to_string(),
            auto: true,
            on_missed: MissedPolicy::default().as_str().to_owned(),
            keep_runs: retention.runs.to_string(),
            keep_days: retention.days.to_string(),
            steps: vec![StepForm::default()],
        }
    }
}

impl Default for StepForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            command: String::new(),
            args: String::new(),
            rule: "on_success".to_owned(),
            timeout: "3600".to_owned(),
            retries: "0".to_owned(),
            retry_delay: "0".to_owned(),
            may_fail: false,
            env: String::new(),
            working_dir: String::new(),
        }
    }
}

impl From<&TaskBody> for TaskForm {
    fn from(task: &TaskBody) -> Self {
        let usual = Retention::default();
        Self {
            name: task.name.clone(),
            cron: task.cron.clone().unwrap_or_default(),
            zone: task.zone.clone().unwrap_or_default(),
            pool: task.pool.clone(),
            auto: task.auto,
            on_missed: task.on_missed.clone(),
            keep_runs: task.keep_runs.unwrap_or(usual.runs).to_string(),
            keep_days: task.keep_days.unwrap_or(usual.days).to_string(),
            steps: task.steps.iter().map(StepForm::from).collect(),
        }
    }
}

impl From<&StepBody> for StepForm {
    fn from(step: &StepBody) -> Self {
        let variables = step.env.iter();
        let variables = variables.map(|(key, value)| format!("{key}={}", quoted(value)));
        Self {
            name: step.name.clone(),
            command: quoted(&step.command),
            args: match &step.args {
                Args::Line(line) => line.clone(),
                Args::List(args) => {
                    let args = args.iter().map(|arg| quoted(arg));
                    args.collect::<Vec<_>>().join(" ")
                }
            },
            rule: step.rule.clone(),
            timeout: step.timeout.to_string(),
            retries: step.retries.to_string(),
            retry_delay: step.retry_delay.to_string(),
            may_fail: step.may_fail,
            env: variables.collect::<Vec<_>>().join("\n"),
            working_dir: step.working_dir.clone().unwrap_or_default(),
        }
    }
}

impl TaskForm {
    /// Reads the fields. Fields of steps come in the order of the page, so that moving a step
    /// needs no renumbering; the name opens the next step.
    pub(super) fn read(fields: &Fields) -> Self {
        let mut form = Self {
            name: fields.line("name"),
            cron: fields.line("cron"),
            zone: fields.line("zone"),
            pool: fields.line("pool"),
            auto: fields.ticked("auto"),
            on_missed: fields.line("on_missed"),
            keep_runs: fields.line("keep_runs"),
            keep_days: fields.line("keep_days"),
            steps: Vec::new(),
        };
        for (field, value) in fields.iter() {
            if field == "step.name" {
                form.steps.push(StepForm::default());
            }
            if let Some(step) = form.steps.last_mut() {
                step.set(field, value);
            }
        }
        form
    }

    /// Changes the steps as a button says; one that does not fit changes nothing.
    pub(super) fn apply(&mut self, change: StepChange) {
        let last = self.steps.len();
        match change {
            StepChange::Add => self.steps.push(StepForm::default()),
            StepChange::Remove(at) if at < last => drop(self.steps.remove(at)),
            StepChange::Up(at) if (1..last).contains(&at) => self.steps.swap(at, at - 1),
            StepChange::Down(at) if at + 1 < last => self.steps.swap(at, at + 1),
            StepChange::Remove(_) | StepChange::Up(_) | StepChange::Down(_) => {}
        }
    }

    /// The form in the shape of the API.
    ///
    /// # Errors
    /// Every problem of the form, so that a person sees all at once.
    pub(super) fn body(&self) -> Result<TaskBody, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut steps = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let mut refused = Vec::new();
            steps.push(step.body(&mut refused));
            let at = format!("steps[{index}]");
            errors.extend(refused.into_iter().map(|error| error.inside(&at)));
        }
        let retention = Retention::default();
        let body = TaskBody {
            name: self.name.clone(),
            cron: Some(self.cron.clone()),
            zone: Some(self.zone.clone()),
            pool: self.pool.clone(),
            auto: self.auto,
            on_missed: self.on_missed.clone(),
            keep_runs: Some(keep(
                &mut errors,
                "keep_runs",
                &self.keep_runs,
                retention.runs,
            )),
            keep_days: Some(keep(
                &mut errors,
                "keep_days",
                &self.keep_days,
                retention.days,
            )),
            steps,
        };
        if let Err(refused) = Task::try_from(&body) {
            errors.extend(refused);
        }
        if errors.is_empty() {
            Ok(body)
        } else {
            Err(errors)
        }
    }
}

/// Reads a number; one that is none is refused and stands in for a good one, so that the
/// rest of the form is looked at too.
fn keep(errors: &mut Vec<FieldError>, field: &str, text: &str, otherwise: u32) -> u32 {
    number(field, text).unwrap_or_else(|error| {
        errors.push(error);
        otherwise
    })
}

impl StepForm {
    fn set(&mut self, field: &str, value: &str) {
        let (place, value) = match field {
            "step.name" => (&mut self.name, value.trim()),
            "step.command" => (&mut self.command, value.trim()),
            "step.args" => (&mut self.args, value),
            "step.rule" => (&mut self.rule, value),
            "step.timeout" => (&mut self.timeout, value.trim()),
            "step.retries" => (&mut self.retries, value.trim()),
            "step.retry_delay" => (&mut self.retry_delay, value.trim()),
            "step.env" => (&mut self.env, value),
            "step.may_fail" => {
                self.may_fail = true;
                return;
            }
            "step.working_dir" => (&mut self.working_dir, value.trim()),
            _ => return,
        };
        value.clone_into(place);
    }

    /// Reports if a field under "more" differs from its default.
    pub(super) fn has_more(&self) -> bool {
        let usual = Self::default();
        self.retries != usual.retries
            || self.retry_delay != usual.retry_delay
            || self.may_fail
            || !self.env.trim().is_empty()
            || !self.working_dir.is_empty()
    }

    fn body(&self, errors: &mut Vec<FieldError>) -> StepBody {
        let (command, args) = self.words(errors);
        StepBody {
            name: self.name.clone(),
            command,
            args: Args::List(args),
            rule: self.rule.clone(),
            timeout: keep(errors, "timeout", &self.timeout, 1),
            retries: keep(errors, "retries", &self.retries, 0),
            retry_delay: keep(errors, "retry_delay", &self.retry_delay, 0),
            may_fail: self.may_fail,
            env: self.variables(errors),
            working_dir: Some(self.working_dir.clone()).filter(|dir| !dir.is_empty()),
        }
    }

    /// The program and its arguments; `python3 backup.py` as the command means a program
    /// and a first argument.
    fn words(&self, errors: &mut Vec<FieldError>) -> (String, Vec<String>) {
        let mut split = |field: &str, text: &str| {
            words::split(text).unwrap_or_else(|| {
                errors.push(FieldError::new(
                    field,
                    "has an open quote or a backslash at its end; close it",
                ));
                vec!["?".to_owned()]
            })
        };
        let mut command = split("command", &self.command).into_iter();
        let program = command.next().unwrap_or_default();
        let args = command.chain(split("args", &self.args)).collect();
        (program, args)
    }

    fn variables(&self, errors: &mut Vec<FieldError>) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let Some(words) = words::split(&self.env) else {
            errors.push(FieldError::new("env", "has an open quote; close it"));
            return variables;
        };
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => drop(variables.insert(key.to_owned(), value.to_owned())),
                None => errors.push(FieldError::new(
                    "env",
                    format!("{word:?} is not KEY=value; quote a value that has spaces"),
                )),
            }
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(json: serde_json::Value) -> Task {
        Task::try_from(&serde_json::from_value::<TaskBody>(json).unwrap()).unwrap()
    }

    #[test]
    fn a_task_goes_through_the_form_unchanged() {
        let task = task(serde_json::json!({
            "name": "t", "cron": "0 3 * * *", "zone": "Europe/Paris",
            "steps": [{"name": "s", "command": "/opt/my tool", "args": ["-c", "a\nb 'c' \"d\"", "", "#x"],
                "env": {"A": "two\nlines", "B": ""}, "working_dir": "sub dir", "retries": 2, "retry_delay": 5, "may_fail": true}],
        }));
        let body = TaskForm::from(&TaskBody::from(&task)).body().unwrap();
        assert_eq!(Task::try_from(&body).unwrap(), task);
    }

    #[test]
    fn a_command_of_several_words_is_a_program_with_its_first_arguments() {
        let step = StepForm {
            command: "python3 backup.py".to_owned(),
            args: "--stop vaultwarden".to_owned(),
            ..StepForm::default()
        };
        let (program, args) = step.words(&mut Vec::new());
        assert_eq!(program, "python3");
        assert_eq!(args, ["backup.py", "--stop", "vaultwarden"]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let mut form = TaskForm {
            cron: "61 * * * *".to_owned(),
            ..TaskForm::default()
        };
        form.steps[0].timeout = "soon".to_owned();
        form.steps[0].env = "A".to_owned();
        let fields: Vec<String> = form
            .body()
            .unwrap_err()
            .into_iter()
            .map(|e| e.field)
            .collect();
        for field in [
            "name",
            "cron",
            "steps[0].name",
            "steps[0].timeout",
            "steps[0].env",
        ] {
            assert!(fields.iter().any(|f| f == field), "{field} in {fields:?}");
        }
    }

    #[test]
    fn a_step_moves_and_stays_whole() {
        let mut form = TaskForm::default();
        form.steps[0].name = "a".to_owned();
        form.apply(StepChange::Add);
        form.steps[1].name = "b".to_owned();
        form.apply(StepChange::Up(1));
        form.apply(StepChange::Up(0));
        form.apply(StepChange::Down(9));
        let names: Vec<&str> = form.steps.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        form.apply(StepChange::Remove(0));
        assert_eq!(form.steps.len(), 1);
    }
}
