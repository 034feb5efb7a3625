//! `lightflow task`: what there is to run, and running it.

use super::client::{Body, path, query, read};
use super::error::CliError;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::{task_edit, task_run, task_text};
use crate::view::{CancelBody, RunList, TaskList, TaskPatch, TaskView};
use clap::{Arg, ArgAction, ArgMatches, Command};
use hyper::Method;
use hyper::body::Bytes;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    let named = |command: Command| command.arg(name("name", "NAME", "The task")).arg(json());
    Command::new("task")
        .about("Tasks: list, show, create, edit, run, …")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(
            "Examples:\n  lightflow task list\n  lightflow task run backup_vaultwarden --follow\n  \
             lightflow task disable backup_vaultwarden",
        )
        .subcommand(Command::new("list").about("List all tasks").arg(json()))
        .subcommand(named(
            Command::new("show").about("Show a task and its steps"),
        ))
        .subcommand(task_edit::create_command())
        .subcommand(task_edit::edit_command())
        .subcommand(
            Command::new("delete")
                .about("Delete a task with its runs and logs")
                .arg(name("name", "NAME", "The task"))
                .arg(yes()),
        )
        .subcommand(task_run::command())
        .subcommand(named(
            Command::new("cancel")
                .about("Stop the task's run; its `always` steps still run")
                .arg(force()),
        ))
        .subcommand(named(
            Command::new("enable").about("Follow the task's CRON expression"),
        ))
        .subcommand(named(
            Command::new("disable").about("Do not follow it; the task still runs on demand"),
        ))
}

/// The option `--force` of both ways to cancel.
pub(super) fn force() -> Arg {
    Arg::new("force")
        .long("force")
        .help("Stop and leave out the `always` steps too")
        .action(ArgAction::SetTrue)
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("show", matches)) => show(session, matches).await,
        Some(("create", matches)) => create(session, matches).await,
        Some(("edit", matches)) => edit(session, matches).await,
        Some(("delete", matches)) => delete(session, matches).await,
        Some(("run", matches)) => task_run::run(session, matches).await,
        Some(("cancel", matches)) => cancel(session, matches).await,
        Some(("enable", matches)) => switch(session, matches, true).await,
        Some(("disable", matches)) => switch(session, matches, false).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["tasks"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let TaskList { tasks } = read(&body)?;
    if tasks.is_empty() {
        session
            .out
            .line("no tasks yet; make one with lightflow task create (see its --help)")?;
    } else {
        let text = task_text::list(&session.out, &session.here, &tasks);
        session.out.text(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session
        .client
        .fetch(&path(&["tasks", text(matches, "name")]))
        .await?;
    if wants_json(matches) {
        session.out.json(&body)?;
    } else {
        print_task(&mut session, &body)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_task(session: &mut Session, body: &Bytes) -> Result<(), CliError> {
    let view: TaskView = read(body)?;
    let text = task_text::show(&session.out, &session.here, &view);
    session.out.text(&text)
}

async fn create(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let task = task_edit::created(matches)?;
    let body = Body::json(&task)?;
    let answer = session
        .client
        .send(Method::POST, &path(&["tasks"]), body)
        .await?;
    changed(&mut session, matches, &answer)
}

async fn edit(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let url = path(&["tasks", text(matches, "name")]);
    let mut view: TaskView = session.client.get(&url).await?;
    task_edit::edited(matches, &mut view.task)?;
    let body = Body::json(&view.task)?;
    let answer = session.client.send(Method::PUT, &url, body).await?;
    changed(&mut session, matches, &answer)
}

/// Shows the task as it is now, so that a person sees what the server made of it.
fn changed(
    session: &mut Session,
    matches: &ArgMatches,
    answer: &Bytes,
) -> Result<ExitCode, CliError> {
    if wants_json(matches) {
        session.out.json(answer)?;
    } else {
        print_task(session, answer)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn delete(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    confirm(
        matches,
        &format!("Delete the task {name} with its runs and logs"),
    )?;
    let url = path(&["tasks", name]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("task {name} deleted"))
}

async fn switch(
    mut session: Session,
    matches: &ArgMatches,
    auto: bool,
) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    let patch = Body::json(&TaskPatch { auto: Some(auto) })?;
    let url = path(&["tasks", name]);
    let answer = session.client.send(Method::PATCH, &url, patch).await?;
    let view: TaskView = read(&answer)?;
    let sentence = match (auto, &view.next_fire, &view.task.cron) {
        (true, Some(next), _) => format!("{name}: auto on, next {}", session.here.full(next)),
        (true, None, None) => format!("{name}: auto on, but it has no CRON expression"),
        (true, None, Some(_)) => format!("{name}: auto on"),
        (false, ..) => format!("{name}: auto off"),
    };
    session.done(matches, &answer, &sentence)
}

async fn cancel(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    let pairs = [("task", name.to_owned()), ("limit", "50".to_owned())];
    let list: RunList = session.client.get(&query(&path(&["runs"]), &pairs)).await?;
    // A fire that came due meanwhile is recorded as missed, with a higher number.
    let Some(run) = list.runs.iter().find(|run| !run.finished) else {
        return Err(CliError::Local(format!("no run of {name} goes on")));
    };
    let body = Body::json(&CancelBody {
        force: matches.get_flag("force"),
    })?;
    let id = run.id.to_string();
    let answer = session
        .client
        .send(Method::POST, &path(&["runs", &id, "cancel"]), body)
        .await?;
    session.done(
        matches,
        &answer,
        &format!("run {id} of {name} is being cancelled"),
    )
}
