//! `lightflow task create` and `edit`: options to a task.

use super::error::CliError;
use super::session::{json, name};
use super::step_options::{self, StepEdit};
use crate::view::TaskBody;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, value_parser};

/// `task create` and its arguments.
pub(super) fn create_command() -> Command {
    let command = Command::new("create")
        .about("Create a task")
        .override_usage("lightflow task create <NAME> [OPTIONS] --step <NAME> --command <PROGRAM> …")
        .after_help(
            "Example:\n  \
             lightflow task create backup_vaultwarden --cron '0 3 * * *' --pool backup \\\n    \
             --step stop  --command python3 --args 'backup.py --stop vaultwarden'  \\\n                 \
             --timeout 30 \\\n    \
             --step sync  --command python3 --args 'backup.py --sync vaultwarden'  \\\n                 \
             --timeout 300 \\\n    \
             --step start --command python3 --args 'backup.py --start vaultwarden' \\\n                 \
             --timeout 180 --rule always",
        )
        .arg(name("name", "NAME", "What the task is called, unique"));
    step_options::with_options(with_task_options(command)).arg(json())
}

/// `task edit` and its arguments.
pub(super) fn edit_command() -> Command {
    let command = Command::new("edit")
        .about("Change a task; what is not mentioned stays")
        .override_usage("lightflow task edit <NAME> [OPTIONS] [--step <NAME> …]")
        .after_help(
            "--step with the name of a step that is there changes what follows of it; with\n\
             a new name it adds a step at the end.\n\n\
             Examples:\n  \
             lightflow task edit backup_immich --cron '30 3 * * *'\n  \
             lightflow task edit backup_immich --step sync --timeout 7200 --retries 2\n  \
             lightflow task edit backup_immich --move-step verify --to 3\n  \
             lightflow task edit backup_immich --rename backup_photos",
        )
        .arg(name("name", "NAME", "The task"))
        .arg(
            Arg::new("rename")
                .long("rename")
                .value_name("NEW")
                .help("Give it another name; its runs stay"),
        );
    step_options::with_edit_options(with_task_options(command)).arg(json())
}

fn with_task_options(command: Command) -> Command {
    let number = |id, help| option(id, "N", help).value_parser(value_parser!(u32));
    command
        .arg(
            option(
                "cron",
                "EXPR",
                "When it fires, such as '0 3 * * *'; '' for on demand only",
            )
            .allow_hyphen_values(true),
        )
        .arg(option(
            "tz",
            "ZONE",
            "Time zone of --cron; '' for the server's own",
        ))
        .arg(option(
            "pool",
            "POOL",
            "The pool its steps queue in [default: default]",
        ))
        .arg(
            option("auto", "ON|OFF", "Whether --cron is followed [default: on]")
                .value_parser(PossibleValuesParser::new(["on", "off"])),
        )
        .arg(
            option(
                "on-missed",
                "POLICY",
                "Fires missed while the machine was off [default: run_once]",
            )
            .value_parser(PossibleValuesParser::new(["run_once", "skip"])),
        )
        .arg(number("keep-runs", "Finished runs to keep [default: 100]"))
        .arg(number("keep-days", "Days to keep them [default: 365]"))
}

fn option(id: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(id).long(id).value_name(value).help(help)
}

/// The task that the options of `create` describe.
pub(super) fn created(matches: &ArgMatches) -> Result<TaskBody, CliError> {
    let steps = step_options::edits(matches)?;
    if steps.is_empty() {
        return Err(CliError::Usage(
            "a task needs at least one step; add --step NAME --command PROGRAM".to_owned(),
        ));
    }
    let name = super::session::text(matches, "name");
    let mut task: TaskBody = serde_json::from_value(serde_json::json!({
        "name": name, "steps": [],
    }))
    .map_err(|error| CliError::Nonsense(error.to_string()))?;
    apply_fields(matches, &mut task);
    task.steps = steps
        .into_iter()
        .map(StepEdit::into_step)
        .collect::<Result<_, _>>()?;
    Ok(task)
}

/// Changes `task` as the options of `edit` say.
pub(super) fn edited(matches: &ArgMatches, task: &mut TaskBody) -> Result<(), CliError> {
    let before = task.clone();
    if let Some(name) = matches.get_one::<String>("rename") {
        task.name.clone_from(name);
    }
    apply_fields(matches, task);
    for edit in step_options::edits(matches)? {
        match task.steps.iter_mut().find(|step| step.name == edit.name) {
            Some(step) => edit.apply(step),
            None => task.steps.push(edit.into_step()?),
        }
    }
    for name in values(matches, "remove-step") {
        let position = position(task, name)?;
        task.steps.remove(position);
    }
    let places: Vec<usize> = matches
        .get_many("to")
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let moved = values(matches, "move-step");
    if moved.len() != places.len() {
        return Err(CliError::Usage(
            "each --move-step needs its own --to".to_owned(),
        ));
    }
    for (name, place) in moved.into_iter().zip(places) {
        move_step(task, name, place)?;
    }
    if *task == before {
        return Err(CliError::Usage(
            "this changes nothing; see lightflow task edit --help".to_owned(),
        ));
    }
    Ok(())
}

fn values<'a>(matches: &'a ArgMatches, id: &str) -> Vec<&'a String> {
    matches
        .get_many::<String>(id)
        .into_iter()
        .flatten()
        .collect()
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

fn apply_fields(matches: &ArgMatches, task: &mut TaskBody) {
    let text = |id| matches.get_one::<String>(id).cloned();
    let number = |id| matches.get_one::<u32>(id).copied();
    if let Some(cron) = text("cron") {
        task.cron = Some(cron).filter(|cron| !cron.trim().is_empty());
    }
    if let Some(zone) = text("tz") {
        task.zone = Some(zone).filter(|zone| !zone.is_empty());
    }
    if let Some(pool) = text("pool") {
        task.pool = pool;
    }
    if let Some(auto) = text("auto") {
        task.auto = auto == "on";
    }
    if let Some(policy) = text("on-missed") {
        task.on_missed = policy;
    }
    if let Some(runs) = number("keep-runs") {
        task.keep_runs = Some(runs);
    }
    if let Some(days) = number("keep-days") {
        task.keep_days = Some(days);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(line: &str) -> Result<TaskBody, CliError> {
        let words = shlex::split(line).unwrap();
        let command = create_command().no_binary_name(true);
        created(&command.try_get_matches_from(words).unwrap())
    }

    fn edit(task: &mut TaskBody, line: &str) -> Result<(), CliError> {
        let words = shlex::split(&format!("{} {line}", task.name)).unwrap();
        let command = edit_command().no_binary_name(true);
        edited(&command.try_get_matches_from(words).unwrap(), task)
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
