//! `lightflow run`: what ran, what it printed, stopping it, running its end again, and
//! removing it.

use super::client::{Body, path, query, read};
use super::error::{CliError, notice};
use super::log::{self, LogOf};
use super::session::{Session, json, text, unknown, wants_json};
use super::watch::Watch;
use super::{run_text, task, task_run};
use crate::view::{CancelBody, RetryBody, RunList, RunView, StepRunView, Triggered};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use hyper::Method;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    Command::new("run")
        .about("Runs: list, show, logs, cancel, retry, clear")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List runs, newest first")
                .after_help("Example:\n  lightflow run list --task backup_vaultwarden --limit 5")
                .arg(
                    Arg::new("task")
                        .long("task")
                        .value_name("NAME")
                        .help("Runs of this task only"),
                )
                .arg(
                    Arg::new("limit")
                        .long("limit")
                        .value_name("N")
                        .help("How many, 1 to 500")
                        .default_value("20")
                        .value_parser(value_parser!(u32).range(1..=500)),
                )
                .arg(
                    Arg::new("before")
                        .long("before")
                        .value_name("ID")
                        .help("Only runs older than this one")
                        .value_parser(value_parser!(i64)),
                )
                .arg(json()),
        )
        .subcommand(
            Command::new("show")
                .about("Show a run and its steps")
                .arg(id())
                .arg(json()),
        )
        .subcommand(logs_command())
        .subcommand(
            Command::new("cancel")
                .about("Stop a run; its `always` steps still run")
                .arg(id())
                .arg(task::force())
                .arg(json()),
        )
        .subcommand(retry_command())
        .subcommand(
            Command::new("clear")
                .about("Remove a run that is over, with its logs")
                .arg(id())
                .arg(json()),
        )
}

fn retry_command() -> Command {
    Command::new("retry")
        .about("Run the end of a run again, as a new run")
        .after_help(
            "The new run has the steps that the task has now. Those before STEP are not run\n\
             again, except steps with the run rule always.\n\n\
             Examples:\n  lightflow run retry 12\n  lightflow run retry 12 --from archive --wait",
        )
        .arg(id())
        .arg(
            Arg::new("from").long("from").value_name("STEP").help(
                "Name or number of the step to begin with [default: the one that failed first]",
            ),
        )
        .args(task_run::waiting())
        .arg(json().help("Print the API's JSON; with --wait the finished run"))
}

fn logs_command() -> Command {
    Command::new("logs")
        .about("Print what a run's steps printed")
        .after_help(
            "Without STEP, the logs of all steps, each under a line with its name.\n\n\
             Examples:\n  lightflow run logs 12\n  lightflow run logs 12 sync --follow\n  \
             lightflow run logs 12 2 --attempt 1",
        )
        .arg(id())
        .arg(
            Arg::new("step")
                .value_name("STEP")
                .help("Name or number of the step"),
        )
        .arg(
            Arg::new("attempt")
                .long("attempt")
                .value_name("N")
                .help("Which attempt of a step that was tried again [default: the last]")
                .value_parser(value_parser!(u32).range(1..))
                .requires("step"),
        )
        .arg(
            Arg::new("follow")
                .long("follow")
                .short('f')
                .help("Go on until the step, or the run, is over")
                .action(ArgAction::SetTrue),
        )
}

fn id() -> Arg {
    Arg::new("id")
        .value_name("ID")
        .help("Number of the run")
        .required(true)
        .value_parser(value_parser!(i64).range(1..))
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("show", matches)) => show(session, matches).await,
        Some(("logs", matches)) => logs(session, matches).await,
        Some(("cancel", matches)) => cancel(session, matches).await,
        Some(("retry", matches)) => retry(session, matches).await,
        Some(("clear", matches)) => clear(session, matches).await,
        _ => Err(unknown()),
    }
}

fn number(matches: &ArgMatches) -> i64 {
    matches.get_one::<i64>("id").copied().unwrap_or_default()
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let mut pairs = Vec::new();
    if let Some(task) = matches.get_one::<String>("task") {
        pairs.push(("task", task.clone()));
    }
    if let Some(limit) = matches.get_one::<u32>("limit") {
        pairs.push(("limit", limit.to_string()));
    }
    if let Some(before) = matches.get_one::<i64>("before") {
        pairs.push(("before", before.to_string()));
    }
    let body = session
        .client
        .fetch(&query(&path(&["runs"]), &pairs))
        .await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let list: RunList = read(&body)?;
    if list.runs.is_empty() {
        session.out.line("no runs")?;
    } else {
        let text = run_text::list(&session.out, &session.here, &list.runs);
        session.out.text(&text)?;
    }
    if let Some(before) = list.next_before {
        notice(&format!("older runs: --before {before}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let id = number(matches).to_string();
    let body = session.client.fetch(&path(&["runs", &id])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
    } else {
        let run: RunView = read(&body)?;
        let text = run_text::show(&session.out, &session.here, &run);
        session.out.text(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn cancel(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let id = number(matches).to_string();
    let body = Body::json(&CancelBody {
        force: matches.get_flag("force"),
    })?;
    let url = path(&["runs", &id, "cancel"]);
    let answer = session.client.send(Method::POST, &url, body).await?;
    session.done(matches, &answer, &format!("run {id} is being cancelled"))
}

async fn retry(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let id = number(matches).to_string();
    let from = match matches.get_one::<String>("from") {
        None => None,
        Some(step) => {
            let run: RunView = session.client.get(&path(&["runs", &id])).await?;
            let names = run.steps.iter().map(|step| step.step.name.as_str());
            let position = find(names, step)?;
            run.steps.get(position).map(|step| step.step.name.clone())
        }
    };
    let url = path(&["runs", &id, "retry"]);
    let body = Body::json(&RetryBody { from })?;
    let answer = session.client.send(Method::POST, &url, body).await?;
    let Triggered { run } = read(&answer)?;
    if !task_run::waits(matches) {
        return session.done(matches, &answer, &format!("run {run} started"));
    }
    let watch = Watch::existing(&session.client, run).await?;
    task_run::to_the_end(session, matches, watch).await
}

async fn clear(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let id = number(matches).to_string();
    let url = path(&["runs", &id]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("run {id} is removed"))
}

async fn logs(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let id = number(matches);
    let follow = matches.get_flag("follow");
    if matches.get_one::<String>("step").is_none() && follow {
        let mut watch = Watch::existing(&session.client, id).await?;
        log::follow_run(&mut session, &mut watch).await?;
        session
            .out
            .line(&run_text::summary(&session.out, watch.run()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let run: RunView = session
        .client
        .get(&path(&["runs", &id.to_string()]))
        .await?;
    if matches.get_one::<String>("step").is_none() {
        all_logs(&mut session, &run).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let names = run.steps.iter().map(|step| step.step.name.as_str());
    let position = find(names, text(matches, "step"))?;
    let Some(step) = run.steps.get(position) else {
        return Err(unknown());
    };
    let last = step.attempt.max(1);
    let attempt = matches.get_one::<u32>("attempt").copied().unwrap_or(last);
    let log = LogOf {
        run: id,
        position,
        attempt,
    };
    if follow {
        log::follow(&mut session, log).await?;
    } else if step.attempt == 0 {
        notice(&not_started(step));
    } else {
        log::print(&mut session, log).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn all_logs(session: &mut Session, run: &RunView) -> Result<(), CliError> {
    for step in &run.steps {
        if step.attempt == 0 {
            session
                .out
                .line(&run_text::result_line(&session.out, step))?;
            continue;
        }
        for attempt in 1..=step.attempt {
            session.out.line(&log::head(step, attempt))?;
            let log = LogOf {
                run: run.id,
                position: step.position,
                attempt,
            };
            log::print(session, log).await?;
        }
        session
            .out
            .line(&run_text::result_line(&session.out, step))?;
    }
    if run.steps.is_empty() {
        notice(run.note.as_deref().unwrap_or("this run has no steps"));
    }
    Ok(())
}

fn not_started(step: &StepRunView) -> String {
    let mut text = format!(
        "{} printed nothing: {}",
        step.step.name,
        step.state.replace('_', " ")
    );
    if let Some(reason) = &step.reason {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

/// Finds a step by its name, or by its number counted from 1.
fn find<'a>(
    mut names: impl Iterator<Item = &'a str> + Clone,
    wanted: &str,
) -> Result<usize, CliError> {
    if let Some(position) = names.clone().position(|name| name == wanted) {
        return Ok(position);
    }
    let count = names.clone().count();
    if let Ok(number) = wanted.parse::<usize>()
        && (1..=count).contains(&number)
    {
        return Ok(number - 1);
    }
    let all: Vec<&str> = names.by_ref().collect();
    Err(CliError::Usage(format!(
        "there is no step {wanted:?}; the steps are {}",
        all.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_name_before_number() {
        let names = ["2", "sync"];
        let find = |wanted| find(names.into_iter(), wanted).ok();
        assert_eq!(find("2"), Some(0));
        assert_eq!(find("1"), Some(0));
        assert_eq!(find("sync"), Some(1));
        assert_eq!(find("3"), None);
    }
}
