//! `lightflow task run`: starts a run, and on demand waits for its end.

use super::client::{Body, path, read};
use super::error::{CliError, FAILURE, INTERRUPTED, notice};
use super::session::{Session, json, name, text, wants_json};
use super::watch::Watch;
use super::{log, run_text};
use crate::domain::lifecycle::RunState;
use crate::domain::outcome::SKIP_EXIT_CODE;
use crate::view::Triggered;
use clap::{Arg, ArgAction, ArgMatches, Command};
use hyper::Method;
use std::process::ExitCode;

/// The subcommand and its arguments.
pub(super) fn command() -> Command {
    Command::new("run")
        .about("Run a task now")
        .after_help(
            "With --wait the exit code is the run's own result: 0 success, 75 skipped,\n\
             1 anything else. Ctrl-C ends the waiting, not the run.\n\n\
             Examples:\n  lightflow task run backup_vaultwarden\n  \
             lightflow task run backup_vaultwarden --follow\n  \
             lightflow task run backup_vaultwarden --wait && echo done",
        )
        .arg(name("name", "NAME", "The task"))
        .args(waiting())
        .arg(json().help("Print the API's JSON; with --wait the finished run"))
}

/// The arguments by which somebody waits for a run that is started.
pub(super) fn waiting() -> [Arg; 2] {
    [
        Arg::new("wait")
            .long("wait")
            .help("Wait for the end and exit with the run's result")
            .action(ArgAction::SetTrue),
        Arg::new("follow")
            .long("follow")
            .short('f')
            .help("Show the steps and their logs as they come; implies --wait")
            .action(ArgAction::SetTrue)
            .conflicts_with("json"),
    ]
}

/// Whether somebody wants to wait.
pub(super) fn waits(matches: &ArgMatches) -> bool {
    matches.get_flag("follow") || matches.get_flag("wait")
}

/// Runs the subcommand.
pub(super) async fn run(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let task = text(matches, "name");
    if !waits(matches) {
        let url = path(&["tasks", task, "run"]);
        let answer = session.client.send(Method::POST, &url, Body::Empty).await?;
        let Triggered { run } = read(&answer)?;
        return session.done(matches, &answer, &format!("run {run} of {task} started"));
    }
    let watch = Watch::trigger(&session.client, task).await?;
    to_the_end(session, matches, watch).await
}

/// Waits for the end of a run and exits with its result.
pub(super) async fn to_the_end(
    mut session: Session,
    matches: &ArgMatches,
    watch: Watch,
) -> Result<ExitCode, CliError> {
    // Whoever waits wants the result, also when nobody reads what is printed meanwhile.
    session.out.outlive_reader();
    let run = watch.run().id;
    let follow = matches.get_flag("follow");
    tokio::select! {
        code = wait(session, matches, watch, follow) => code,
        _ = tokio::signal::ctrl_c() => {
            notice(&format!(
                "\nrun {run} goes on; follow it with `lightflow run logs {run} --follow`, stop it with `lightflow run cancel {run}`"
            ));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn wait(
    mut session: Session,
    matches: &ArgMatches,
    mut watch: Watch,
    follow: bool,
) -> Result<ExitCode, CliError> {
    let json = wants_json(matches);
    if !json {
        let run = watch.run();
        session
            .out
            .line(&format!("run {} of {} started", run.id, run.task))?;
    }
    if follow {
        log::follow_run(&mut session, &mut watch).await?;
    }
    let run = watch.until(|run| run.finished).await?;
    if json {
        let id = run.id.to_string();
        let body = session.client.fetch(&path(&["runs", &id])).await?;
        session.out.json(&body)?;
    } else {
        session.out.line(&run_text::summary(&session.out, run))?;
    }
    Ok(ExitCode::from(result_code(&run.state)))
}

/// The exit code that stands for a finished run.
fn result_code(state: &str) -> u8 {
    if state == RunState::Success.as_str() {
        0
    } else if state == RunState::Skipped.as_str() {
        u8::try_from(SKIP_EXIT_CODE).unwrap_or(FAILURE)
    } else {
        FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_runs_result() {
        use RunState::{Cancelled, Failed, Interrupted, Missed, Skipped, Success};
        assert_eq!(result_code(Success.as_str()), 0);
        assert_eq!(result_code(Skipped.as_str()), 75);
        for bad in [Failed, Cancelled, Interrupted, Missed] {
            assert_eq!(result_code(bad.as_str()), 1, "{bad:?}");
        }
    }
}
