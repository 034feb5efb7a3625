//! Tasks on the wire.

use super::rfc3339;
use crate::domain::cron::CronExpr;
use crate::domain::definition::TaskBody;
use crate::domain::task::Task;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change of a few fields of a task; absent ones stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskPatch {
    /// Switches scheduling on or off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    /// Switches scheduling off until this time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<String>,
}

/// A pause of all schedules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// The end of the pause, RFC 3339; absent for a pause until the schedules are resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A task as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its definition.
    #[serde(flatten)]
    pub task: TaskBody,
    /// The CRON expression in words.
    pub schedule: Option<String>,
    /// When it fires next, RFC 3339; absent where it does not fire by itself.
    pub next_fire: Option<String>,
    /// The end of its pause, RFC 3339; absent where it is not paused, or until a person resumes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<String>,
    /// Its run that goes on, else the newest that did run; a missed fire time is none.
    pub last_run: Option<super::RunView>,
}

impl TaskView {
    /// The view of a task.
    pub fn new(
        task: &Task,
        next_fire: Option<DateTime<Utc>>,
        paused_until: Option<DateTime<Utc>>,
        last_run: Option<super::RunView>,
    ) -> Self {
        Self {
            task: TaskBody::from(task),
            schedule: task.cron.as_ref().map(CronExpr::describe),
            next_fire: next_fire.map(rfc3339),
            paused_until: paused_until.map(rfc3339),
            last_run,
        }
    }
}

/// How many tasks were paused or resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PausedTasks {
    /// Tasks whose Auto was switched.
    pub tasks: u32,
}

/// All tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskList {
    /// By name.
    pub tasks: Vec<TaskView>,
    /// Tasks that do not run, because their definition cannot be read. A new definition (PUT) repairs one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedTaskView>,
}

/// A task whose definition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DamagedTaskView {
    /// Its name.
    pub name: String,
    /// The problem.
    pub problem: String,
    /// The definition as far as it is one.
    pub definition: Option<TaskBody>,
}
