//! A task: its schedule, its pool, and its steps in order.

use super::cron::CronExpr;
use super::field::FieldError;
use super::names::{PoolName, TaskName};
use super::step::Step;
use crate::zones::Zone;
use std::str::FromStr;

/// Most steps in one task.
pub const MAX_STEPS: usize = 64;

/// Identifies a task for as long as it exists, also when it is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub i64);

/// The policy for fire times that passed while the machine was off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissedPolicy {
    /// Run once as soon as possible, however many were missed.
    #[default]
    RunOnce,
    /// Record the last one as missed and wait for the next.
    Skip,
}

impl MissedPolicy {
    /// The policy's name in the API, the database and exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunOnce => "run_once",
            Self::Skip => "skip",
        }
    }
}

impl FromStr for MissedPolicy {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text {
            "run_once" => Ok(Self::RunOnce),
            "skip" => Ok(Self::Skip),
            other => Err(FieldError::new(
                "on_missed",
                format!("{other:?} is not a policy for missed fires; use run_once or skip"),
            )),
        }
    }
}

/// The finished runs, with their logs, that a task keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest runs kept, at least 1.
    pub runs: u32,
    /// Days after which a run is removed even so; the newest run always stays.
    pub days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            runs: 100,
            days: 365,
        }
    }
}

impl Retention {
    /// Accepts a retention.
    ///
    /// # Errors
    /// Refuses 0 and absurdly large values, naming the field and the range.
    pub fn new(runs: u32, days: u32) -> Result<Self, FieldError> {
        if !(1..=10_000).contains(&runs) {
            return Err(FieldError::new(
                "keep_runs",
                format!("{runs} is out of range; use 1 to 10000"),
            ));
        }
        if !(1..=3650).contains(&days) {
            return Err(FieldError::new(
                "keep_days",
                format!("{days} is out of range; use 1 to 3650"),
            ));
        }
        Ok(Self { runs, days })
    }
}

/// A task, complete and valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Unique among tasks.
    pub name: TaskName,
    /// Its CRON expression; a task without one runs on demand only.
    pub cron: Option<CronExpr>,
    /// The zone its CRON expression is read in; the server's own when absent.
    pub zone: Option<Zone>,
    /// The pool its steps queue in.
    pub pool: PoolName,
    /// True if its CRON expression is followed.
    pub auto: bool,
    /// The policy for fires that passed while the machine was off.
    pub on_missed: MissedPolicy,
    /// The retention of its runs.
    pub retention: Retention,
    /// Its steps in order.
    pub steps: Steps,
}

impl Task {
    /// The steps in order; at least one, with distinct names.
    pub fn steps(&self) -> &[Step] {
        &self.steps.0
    }
}

/// The steps of a task in order: 1 to [`MAX_STEPS`], with distinct names.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Accepts steps.
    ///
    /// # Errors
    /// Refuses none, too many, and two of one name.
    pub fn new(steps: Vec<Step>) -> Result<Self, FieldError> {
        if steps.is_empty() {
            let problem = "is empty; a task needs at least one step";
            return Err(FieldError::new("steps", problem));
        }
        if steps.len() > MAX_STEPS {
            let count = steps.len();
            let problem = format!("{count} steps are too many; use at most {MAX_STEPS}");
            return Err(FieldError::new("steps", problem));
        }
        for (index, step) in steps.iter().enumerate() {
            if let Some(first) = steps[..index].iter().position(|s| s.name == step.name) {
                return Err(FieldError::new(
                    format!("steps[{index}].name"),
                    format!(
                        "{:?} is already the name of step {}; names of steps are unique within a task",
                        step.name.as_str(),
                        first + 1
                    ),
                ));
            }
        }
        Ok(Self(steps))
    }
}
