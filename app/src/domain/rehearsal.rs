//! The task that rehearses the restore of one service, and the script that it runs.
//!
//! Invariant: as for a backup, the limit of the step is longer than the deadline that the script gives the gate.

use super::backup::BACKUP_POOL;
use super::definition::{Args, StepBody, TaskBody};
use super::field::FieldError;
use super::names::TaskName;
use std::collections::BTreeMap;

/// The name of the script.
pub const SCRIPT_NAME: &str = "rehearse.py";

/// The script.
pub const SCRIPT: &str = include_str!("rehearse.py");

/// The schedule: once a week at noon, when no backup runs. The task is overdue after a week and a quarter.
const WEEKLY: &str = "0 12 * * 6";

/// The limit of the step in seconds, and the seconds by which the gate ends before it.
const LIMIT: u32 = 4 * 3600;
const MARGIN: u32 = 60;

/// The task that rehearses the restore of `service`.
///
/// # Errors
/// Refuses a name that is no name of a service.
pub fn rehearsal_task(service: &str) -> Result<TaskBody, FieldError> {
    TaskName::new(service).map_err(|error| FieldError::new("service", error.problem))?;
    let step = StepBody {
        name: "rehearse".to_owned(),
        command: "python3".to_owned(),
        args: Args::List([SCRIPT_NAME, service].map(str::to_owned).to_vec()),
        timeout: LIMIT,
        env: BTreeMap::from([("REHEARSE_TIMEOUT".to_owned(), (LIMIT - MARGIN).to_string())]),
        ..StepBody::default()
    };
    Ok(TaskBody {
        cron: Some(WEEKLY.to_owned()),
        pool: BACKUP_POOL.to_owned(),
        ..TaskBody::new(format!("rehearse_{service}"), vec![step])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::Task;

    #[test]
    fn the_template_is_a_valid_task_of_one_step() {
        let task = Task::try_from(&rehearsal_task("vaultwarden").unwrap()).unwrap();
        assert_eq!(task.name.as_str(), "rehearse_vaultwarden");
        assert_eq!(task.steps().len(), 1);
        assert_eq!(rehearsal_task("a b").unwrap_err().field, "service");
    }
}
