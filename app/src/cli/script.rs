//! `lightflow script`: the files that steps run.

use super::client::{Body, path, read};
use super::error::CliError;
use super::moment::size;
use super::prompt;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use crate::view::ScriptList;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    Command::new("script")
        .about("Scripts: list, show, put, delete")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List all scripts").arg(json()))
        .subcommand(Command::new("show").about("Print a script").arg(name(
            "name",
            "NAME",
            "The script",
        )))
        .subcommand(
            Command::new("put")
                .about("Write a script, new or in the place of the one of that name")
                .after_help(
                    "A step runs it by its name: --command python3 --args 'backup.py --stop x'.\n\n\
                     Examples:\n  lightflow script put backup.py\n  \
                     lightflow script put ./new/backup-v2.py --name backup.py",
                )
                .arg(
                    Arg::new("file")
                        .value_name("FILE")
                        .help("The file, - for standard input (needs --name)")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .value_hint(ValueHint::FilePath),
                )
                .arg(
                    Arg::new("name")
                        .long("name")
                        .value_name("NAME")
                        .help("What the script is called [default: the file's name]"),
                )
                .arg(json()),
        )
        .subcommand(
            Command::new("delete")
                .about("Delete a script")
                .arg(name("name", "NAME", "The script"))
                .arg(yes()),
        )
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("show", matches)) => show(session, matches).await,
        Some(("put", matches)) => put(session, matches).await,
        Some(("delete", matches)) => delete(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["scripts"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ScriptList { scripts } = read(&body)?;
    let mut table = Table::new(&["SCRIPT", "SIZE", "CHANGED"], 0).right(&[1]);
    for script in scripts {
        table.row(vec![
            script.name,
            size(script.size),
            session.here.full(&script.modified_at),
        ]);
    }
    if table.is_empty() {
        session.out.line("no scripts")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let url = path(&["scripts", text(matches, "name")]);
    let body = session.client.fetch(&url).await?;
    session.out.bytes(&body)?;
    Ok(ExitCode::SUCCESS)
}

async fn put(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let file = matches
        .get_one::<PathBuf>("file")
        .cloned()
        .unwrap_or_default();
    let name = match matches.get_one::<String>("name") {
        Some(name) => name.clone(),
        None if file.as_os_str() == "-" => {
            return Err(CliError::Usage(
                "standard input has no name; add --name NAME".to_owned(),
            ));
        }
        None => file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    if name.is_empty() {
        return Err(CliError::Usage(
            "the script needs a name; add --name NAME".to_owned(),
        ));
    }
    let bytes = prompt::read_file(&file)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let url = path(&["scripts", &name]);
    let answer = session
        .client
        .send(Method::PUT, &url, Body::Bytes(bytes.into()))
        .await?;
    session.done(
        matches,
        &answer,
        &format!("script {name} written ({})", size(length)),
    )
}

async fn delete(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    confirm(matches, &format!("Delete the script {name}"))?;
    let url = path(&["scripts", name]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("script {name} deleted"))
}
