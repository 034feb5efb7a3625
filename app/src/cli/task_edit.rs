//! `lightflow task create` and `edit`: options to a task.

use super::error::CliError;
use super::session::JsonOption;
use super::step_options::{EditedSteps, NewSteps, StepEdit};
use crate::domain::backup::backup_task;
use crate::domain::rehearsal::rehearsal_task;
use crate::view::TaskBody;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

/// Create a task
#[derive(Debug, Args)]
#[command(
    override_usage = "lightflow task create <NAME> [OPTIONS] --step <NAME> --command <PROGRAM> …",
    after_help = "Example:\n  \
        lightflow task create backup_vaultwarden --cron '0 3 * * *' --pool backup \\\n    \
        --step stop  --command python3 --args 'backup.py --stop vaultwarden'  \\\n                 \
        --timeout 30 \\\n    \
        --step sync  --command python3 --args 'backup.py --sync vaultwarden'  \\\n                 \
        --timeout 300 \\\n    \
        --step start --command python3 --args 'backup.py --start vaultwarden' \\\n                 \
        --timeout 180 --rule always\n  \
        lightflow task create backup_vaultwarden --backup-of vaultwarden"
)]
pub(super) struct CreateTask {
    /// Name of the task, unique
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// Begin with the four steps of a nightly backup of this service; --step changes one
    #[arg(long, value_name = "SERVICE", value_parser = NonEmptyStringValueParser::new())]
    backup_of: Option<String>,
    /// Begin with the weekly rehearsal of this service's restore; the script rehearse.py is created where it is missing
    #[arg(
        long,
        value_name = "SERVICE",
        conflicts_with = "backup_of",
        value_parser = NonEmptyStringValueParser::new()
    )]
    rehearsal_of: Option<String>,
    #[command(flatten)]
    fields: TaskOptions,
    #[command(flatten)]
    steps: NewSteps,
    #[command(flatten)]
    pub(super) json: JsonOption,
}

/// Change a task; omitted options keep their values
#[derive(Debug, Args)]
#[command(
    override_usage = "lightflow task edit <NAME> [OPTIONS] [--step <NAME> …]",
    after_help = "--step with the name of a step that is there changes this step; with a new name\n\
        it adds a step at the end.\n\n\
        Examples:\n  \
        lightflow task edit backup_immich --cron '30 3 * * *'\n  \
        lightflow task edit backup_immich --step sync --timeout 7200 --retries 2\n  \
        lightflow task edit backup_immich --move-step verify --to 3\n  \
        lightflow task edit backup_immich --rename backup_photos"
)]
pub(super) struct EditTask {
    /// The task
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) name: String,
    /// Give it another name; its runs stay
    #[arg(long, value_name = "NEW")]
    rename: Option<String>,
    #[command(flatten)]
    fields: TaskOptions,
    #[command(flatten)]
    steps: EditedSteps,
    #[command(flatten)]
    pub(super) json: JsonOption,
}

/// The fields of a task outside its steps.
#[derive(Debug, Args)]
struct TaskOptions {
    /// When it runs, such as '0 3 * * *'; '' for on demand only
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    cron: Option<String>,
    /// Time zone of --cron; '' for the server's own
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// The pool its steps queue in [default: default]
    #[arg(long)]
    pool: Option<String>,
    /// on follows --cron, off does not [default: on]
    #[arg(long, value_name = "ON|OFF", value_parser = ["on", "off"])]
    auto: Option<String>,
    /// Runs missed while the machine was off [default: run_once]
    #[arg(long, value_name = "POLICY", value_parser = ["run_once", "skip"])]
    on_missed: Option<String>,
    /// Finished runs to keep [default: the server's setting]
    #[arg(long, value_name = "N")]
    keep_runs: Option<u32>,
    /// Days to keep them [default: the server's setting]
    #[arg(long, value_name = "N")]
    keep_days: Option<u32>,
}

impl TaskOptions {
    fn apply(self, task: &mut TaskBody) {
        if let Some(cron) = self.cron {
            task.cron = Some(cron).filter(|cron| !cron.trim().is_empty());
        }
        if let Some(zone) = self.tz {
            task.zone = Some(zone).filter(|zone| !zone.is_empty());
        }
        if let Some(pool) = self.pool {
            task.pool = pool;
        }
        if let Some(auto) = self.auto {
            task.auto = auto == "on";
        }
        if let Some(policy) = self.on_missed {
            task.on_missed = policy;
        }
        task.keep_runs = self.keep_runs.or(task.keep_runs);
        task.keep_days = self.keep_days.or(task.keep_days);
    }
}

impl CreateTask {
    /// True if the task needs the ready script of a rehearsal.
    pub(super) fn is_rehearsal(&self) -> bool {
        self.rehearsal_of.is_some()
    }

    /// The task that the options describe.
    pub(super) fn task(self) -> Result<TaskBody, CliError> {
        let steps = self.steps.edits()?;
        let backup = self.backup_of.as_deref().map(backup_task);
        let rehearsal = self.rehearsal_of.as_deref().map(rehearsal_task);
        if let Some(template) = backup.or(rehearsal) {
            let mut task = template.map_err(|e| CliError::Usage(e.to_string()))?;
            task.name = self.name;
            self.fields.apply(&mut task);
            apply_steps(&mut task, steps)?;
            return Ok(task);
        }
        if steps.is_empty() {
            return Err(CliError::Usage(
                "a task needs at least one step; add --step NAME --command PROGRAM".to_owned(),
            ));
        }
        let steps = steps.into_iter().map(StepEdit::into_step);
        let mut task = TaskBody::new(self.name, steps.collect::<Result<_, _>>()?);
        self.fields.apply(&mut task);
        Ok(task)
    }
}

impl EditTask {
    /// The task with the changes that the options describe.
    pub(super) fn applied(self, before: TaskBody) -> Result<TaskBody, CliError> {
        let mut task = before.clone();
        if let Some(name) = self.rename {
            task.name = name;
        }
        self.fields.apply(&mut task);
        apply_steps(&mut task, self.steps.steps.edits()?)?;
        for name in &self.steps.remove_step {
            let position = position(&task, name)?;
            task.steps.remove(position);
        }
        let (moved, places) = (self.steps.move_step, self.steps.to);
        if moved.len() != places.len() {
            return Err(CliError::Usage(
                "each --move-step needs its own --to".to_owned(),
            ));
        }
        for (name, place) in moved.iter().zip(places) {
            move_step(&mut task, name, place)?;
        }
        if task == before {
            return Err(CliError::Usage(
                "this changes nothing; see lightflow task edit --help".to_owned(),
            ));
        }
        Ok(task)
    }
}

/// Changes the steps that are there, and adds the others at the end.
fn apply_steps(task: &mut TaskBody, edits: Vec<StepEdit>) -> Result<(), CliError> {
    for edit in edits {
        match task.steps.iter_mut().find(|step| step.name == edit.name) {
            Some(step) => edit.apply(step),
            None => task.steps.push(edit.into_step()?),
        }
    }
    Ok(())
}

fn position(task: &TaskBody, name: &str) -> Result<usize, CliError> {
    let found = task.steps.iter().position(|step| step.name == name);
    found.ok_or_else(|| CliError::Usage(format!("{} has no step {name:?}", task.name)))
}

fn move_step(task: &mut TaskBody, name: &str, place: usize) -> Result<(), CliError> {
    let count = task.steps.len();
    if !(1..=count).contains(&place) {
        return Err(CliError::Usage(format!(
            "--to {place} is no place; use 1 to {count}"
        )));
    }
    let step = task.steps.remove(position(task, name)?);
    task.steps.insert(place - 1, step);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};

    fn create(line: &str) -> Result<TaskBody, CliError> {
        let words = shlex::split(line).unwrap();
        let command = CreateTask::augment_args(Command::new("create").no_binary_name(true));
        let matches = command.try_get_matches_from(words).unwrap();
        CreateTask::from_arg_matches(&matches).unwrap().task()
    }

    fn edit(task: &mut TaskBody, line: &str) -> Result<(), CliError> {
        let words = shlex::split(&format!("{} {line}", task.name)).unwrap();
        let command = EditTask::augment_args(Command::new("edit").no_binary_name(true));
        let matches = command.try_get_matches_from(words).unwrap();
        *task = EditTask::from_arg_matches(&matches)
            .unwrap()
            .applied(task.clone())?;
        Ok(())
    }

    fn names(task: &TaskBody) -> Vec<&str> {
        task.steps.iter().map(|step| step.name.as_str()).collect()
    }

    #[test]
    fn the_tutorials_task_can_be_written_down() {
        let task = create(
            "backup_vaultwarden --cron '0 3 * * *' --pool backup --auto off --on-missed skip \
             --step stop --command python3 --args 'backup.py --stop vaultwarden' --timeout 30 \
             --step start --command python3 --args '--start vaultwarden' --rule always --timeout 180",
        )
        .unwrap();
        assert_eq!(task.cron.as_deref(), Some("0 3 * * *"));
        assert_eq!((task.pool.as_str(), task.auto), ("backup", false));
        assert_eq!(names(&task), ["stop", "start"]);
        assert_eq!(task.steps[1].rule, "always");
        assert!(crate::domain::task::Task::try_from(&task).is_ok());
    }

    #[test]
    fn a_task_without_steps_is_a_usage_error() {
        assert_eq!(create("t --cron @daily").unwrap_err().code(), 2);
    }

    #[test]
    fn a_backup_begins_with_its_template() {
        let task = create("b --backup-of n8n --cron '30 2 * * *' --step sync --timeout 900");
        let task = task.unwrap();
        assert_eq!(names(&task), ["stop", "sync", "archive", "start"]);
        assert_eq!((task.name.as_str(), task.steps[1].timeout), ("b", 900));
        assert_eq!(task.cron.as_deref(), Some("30 2 * * *"));
        assert_eq!(create("b --backup-of 'a b'").unwrap_err().code(), 2);
    }

    #[test]
    fn a_rehearsal_begins_with_its_template() {
        let task = create("r --rehearsal-of n8n --cron '@daily'").unwrap();
        assert_eq!(names(&task), ["rehearse"]);
        assert_eq!(task.cron.as_deref(), Some("@daily"));
        let command = CreateTask::augment_args(Command::new("create").no_binary_name(true));
        let both = command.try_get_matches_from(["r", "--rehearsal-of", "a", "--backup-of", "b"]);
        assert!(both.is_err());
    }

    #[test]
    fn an_edit_changes_adds_removes_and_moves_steps() {
        let mut task = create("t --step a --command x --step b --command y --timeout 5").unwrap();
        edit(
            &mut task,
            "--step b --timeout 6 --step c --command z --rename u --cron ''",
        )
        .unwrap();
        assert_eq!(
            (task.steps[1].timeout, task.steps[1].command.as_str()),
            (6, "y")
        );
        assert_eq!(
            (names(&task), task.name.as_str()),
            (vec!["a", "b", "c"], "u")
        );
        edit(&mut task, "--move-step c --to 1 --remove-step a").unwrap();
        assert_eq!(names(&task), ["c", "b"]);
        assert!(edit(&mut task, "--move-step c --to 3").is_err());
        assert!(edit(&mut task, "--remove-step nothing").is_err());
        assert_eq!(edit(&mut task, "").unwrap_err().code(), 2);
    }
}
