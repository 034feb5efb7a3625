//! `lightflow variable`: the environment of all steps.

use super::client::{Body, path, read};
use super::error::{CliError, notice};
use super::prompt;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use crate::view::{VariableBody, VariableList, VariableView};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    Command::new("variable")
        .about("Variables: list, get, set, delete")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List all variables").arg(json()))
        .subcommand(
            Command::new("get")
                .about("Print a variable's value")
                .arg(name("key", "KEY", "The variable"))
                .arg(json()),
        )
        .subcommand(set_command())
        .subcommand(
            Command::new("delete")
                .about("Delete a variable")
                .arg(name("key", "KEY", "The variable"))
                .arg(yes()),
        )
}

fn set_command() -> Command {
    let flag = |id, help| Arg::new(id).long(id).help(help).action(ArgAction::SetTrue);
    Command::new("set")
        .about("Set a variable; every step finds it in its environment")
        .after_help(
            "A variable that is secret stays secret when it is set again, unless --plain\n\
             is given. Without VALUE and --file, a terminal asks for the value.\n\n\
             Examples:\n  lightflow variable set ONEDRIVE_REMOTE onedrive\n  \
             lightflow variable set BACKUP_SSH_KEY --secret --file id_ed25519\n  \
             pass show backup | lightflow variable set PASSWORD --secret --file -",
        )
        .arg(name("key", "KEY", "Its name in the environment"))
        .arg(
            Arg::new("value")
                .value_name("VALUE")
                .help("Its value")
                .allow_hyphen_values(true),
        )
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .help("Take the value from a file, - for standard input")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .conflicts_with("value"),
        )
        .arg(flag("exact", "Keep the newline at the end of the file").requires("file"))
        .arg(
            flag("secret", "Never show the value again, and mask it in logs")
                .conflicts_with("plain"),
        )
        .arg(flag(
            "plain",
            "Show the value, also of what was secret before",
        ))
        .arg(json())
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("get", matches)) => get(session, matches).await,
        Some(("set", matches)) => set(session, matches).await,
        Some(("delete", matches)) => delete(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["variables"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let VariableList { variables } = read(&body)?;
    let mut table = Table::new(&["KEY", "VALUE", "SET"], 1);
    for variable in variables {
        let value = match &variable.value {
            None => "(secret)".to_owned(),
            Some(value) => value.replace(['\n', '\r'], "⏎"),
        };
        table.row(vec![
            variable.key,
            value,
            session.here.age(&variable.updated_at),
        ]);
    }
    if table.is_empty() {
        session.out.line("no variables")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let key = text(matches, "key");
    let body = session.client.fetch(&path(&["variables", key])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: VariableView = read(&body)?;
    let Some(value) = view.value else {
        return Err(CliError::Local(format!(
            "{key} is secret: it can be set and used, but not shown"
        )));
    };
    session.out.text(&format!("{value}\n"))?;
    Ok(ExitCode::SUCCESS)
}

async fn set(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let key = text(matches, "key");
    let url = path(&["variables", key]);
    let secret = match (matches.get_flag("secret"), matches.get_flag("plain")) {
        (true, _) => true,
        (false, true) => false,
        (false, false) => is_secret(&session, &url).await?,
    };
    let value = value(matches, key, secret)?;
    let body = Body::json(&VariableBody { value, secret })?;
    let answer = session.client.send(Method::PUT, &url, body).await?;
    let kind = if secret {
        "secret variable"
    } else {
        "variable"
    };
    session.done(matches, &answer, &format!("{kind} {key} set"))
}

/// Whether there is a secret of that name, which must not become readable by accident.
async fn is_secret(session: &Session, url: &str) -> Result<bool, CliError> {
    match session.client.get::<VariableView>(url).await {
        Ok(view) => Ok(view.secret),
        Err(CliError::Refused(problem)) if problem.status == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

fn value(matches: &ArgMatches, key: &str, secret: bool) -> Result<String, CliError> {
    if let Some(value) = matches.get_one::<String>("value") {
        if secret {
            notice(
                "warning: a value on the command line is visible in the process list and the shell's history; use --file",
            );
        }
        return Ok(value.clone());
    }
    if let Some(file) = matches.get_one::<PathBuf>("file") {
        let text = prompt::read_text(file)?;
        return Ok(if matches.get_flag("exact") {
            text
        } else {
            prompt::without_final_newline(text)
        });
    }
    if prompt::at_terminal() {
        return prompt::hidden(&format!("Value of {key} (not shown)"));
    }
    Err(CliError::Usage(
        "give a VALUE, or --file FILE (- for standard input)".to_owned(),
    ))
}

async fn delete(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let key = text(matches, "key");
    confirm(matches, &format!("Delete the variable {key}"))?;
    let url = path(&["variables", key]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("variable {key} deleted"))
}
