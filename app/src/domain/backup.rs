//! The four steps that back up one service through the gate: stop, sync, archive, start.
//!
//! Invariant: a step's limit is longer than the deadline that its script gives the gate, so that the gate ends
//! first, in order, and reports its progress. No step may fail, and `start` always runs.

use super::definition::{Args, StepBody, TaskBody};
use super::field::FieldError;
use super::names::TaskName;
use super::step::RunRule;
use std::collections::BTreeMap;

/// The pool of the backups; with one slot it makes them wait for each other.
pub const BACKUP_POOL: &str = "backup";
/// The schedule of a backup: every night at three.
pub const BACKUP_CRON: &str = "0 3 * * *";

/// Seconds by which a step's limit exceeds the deadline of the gate.
const MARGIN: u32 = 60;

/// One step: its action, its limit in seconds, and the variable that tells `backup.py` the gate's deadline.
const STEPS: [(&str, u32, &str); 4] = [
    ("stop", 5 * 60, "STOP_TIMEOUT"),
    ("sync", 6 * 3600, "SYNC_TIMEOUT"),
    ("archive", 12 * 3600, "ARCHIVE_TIMEOUT"),
    ("start", 10 * 60, "START_TIMEOUT"),
];

/// The task that backs up `service` with the script `backup.py`.
///
/// # Errors
/// Refuses a name that is no name of a service.
pub fn backup_task(service: &str) -> Result<TaskBody, FieldError> {
    TaskName::new(service).map_err(|error| FieldError::new("service", error.problem))?;
    let steps = STEPS.map(|(action, limit, deadline)| {
        let rule = match action {
            "start" => RunRule::Always,
            _ => RunRule::OnSuccess,
        };
        let args = ["backup.py", &format!("--{action}"), service].map(str::to_owned);
        StepBody {
            name: action.to_owned(),
            command: "python3".to_owned(),
            args: Args::List(args.to_vec()),
            rule: rule.as_str().to_owned(),
            timeout: limit,
            env: BTreeMap::from([(deadline.to_owned(), (limit - MARGIN).to_string())]),
            ..StepBody::default()
        }
    });
    Ok(TaskBody {
        cron: Some(BACKUP_CRON.to_owned()),
        pool: BACKUP_POOL.to_owned(),
        ..TaskBody::new(format!("backup_{service}"), steps.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::Task;

    #[test]
    fn the_template_is_a_valid_task_of_which_no_step_may_fail() {
        let task = Task::try_from(&backup_task("vaultwarden").unwrap()).unwrap();
        assert!(task.steps().iter().all(|step| !step.may_fail));
        let limits: Vec<u32> = task.steps().iter().map(|s| s.timeout_s.get()).collect();
        assert_eq!(limits, [300, 21_600, 43_200, 600]);
        assert_eq!(task.steps()[3].rule, RunRule::Always);
    }

    #[test]
    fn a_service_is_one_word() {
        for bad in ["", "a b", "../x", "a;b", "-x"] {
            assert_eq!(backup_task(bad).unwrap_err().field, "service", "{bad:?}");
        }
    }
}
