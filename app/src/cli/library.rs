//! `lightflow library`: Python packages for the scripts.

use super::client::{Body, path, read};
use super::error::CliError;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use super::task_run;
use super::watch::Watch;
use crate::view::{InstallBody, LibraryList, Triggered};
use clap::{Arg, ArgAction, ArgMatches, Command};
use hyper::Method;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    Command::new("library")
        .about("Python packages for the scripts: list, install, remove")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List what is installed")
                .arg(json()),
        )
        .subcommand(
            Command::new("install")
                .about("Install packages with pip, as a run of the task libraries")
                .after_help(
                    "Every step finds them. Variables such as PIP_INDEX_URL lead pip elsewhere.\n\n\
                     Examples:\n  lightflow library install requests --follow\n  \
                     lightflow library install 'paho-mqtt>=2,<3' --wait",
                )
                .arg(
                    Arg::new("packages")
                        .value_name("PACKAGE")
                        .help("Name, and versions where you want them")
                        .required(true)
                        .action(ArgAction::Append)
                        .num_args(1..),
                )
                .args(task_run::waiting())
                .arg(json().help("Print the API's JSON; with --wait the finished run")),
        )
        .subcommand(
            Command::new("remove")
                .about("Remove a package with its files")
                .arg(name("name", "NAME", "The package"))
                .arg(yes()),
        )
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("install", matches)) => install(session, matches).await,
        Some(("remove", matches)) => remove(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["libraries"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let LibraryList { libraries } = read(&body)?;
    let mut table = Table::new(&["PACKAGE", "VERSION", "WHAT IT IS"], 2);
    for library in libraries {
        table.row(vec![library.name, library.version, library.summary]);
    }
    if table.is_empty() {
        session.out.line("no libraries")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn install(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let packages = matches.get_many::<String>("packages");
    let body = Body::json(&InstallBody {
        packages: packages.into_iter().flatten().cloned().collect(),
    })?;
    let url = path(&["libraries"]);
    let answer = session.client.send(Method::POST, &url, body).await?;
    let Triggered { run } = read(&answer)?;
    if !task_run::waits(matches) {
        return session.done(matches, &answer, &format!("run {run} started"));
    }
    let watch = Watch::existing(&session.client, run).await?;
    task_run::to_the_end(session, matches, watch).await
}

async fn remove(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    confirm(matches, &format!("Remove the library {name}"))?;
    let url = path(&["libraries", name]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("library {name} removed"))
}
