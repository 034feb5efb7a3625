//! `lightflow user`: who may log in.

use super::client::{Body, path, read};
use super::error::CliError;
use super::prompt;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use crate::view::{NewUser, PasswordBody, UserList, UserPatch};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    let user = || name("name", "NAME", "The user");
    Command::new("user")
        .about("Users: list, add, role, password, delete")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List all users").arg(json()))
        .subcommand(
            Command::new("add")
                .about("Add a user who can log in")
                .after_help(
                    "A terminal asks for the password, which has at least 10 characters.\n\n\
                     Examples:\n  lightflow user add odile\n  \
                     lightflow user add guest --role viewer --password-file guest.txt",
                )
                .arg(user())
                .arg(role("admin", &["admin", "viewer"]))
                .arg(password_file())
                .arg(json()),
        )
        .subcommand(
            Command::new("role")
                .about("Make a user an admin or a viewer")
                .arg(user())
                .arg(
                    Arg::new("role")
                        .value_name("ROLE")
                        .help("admin may do everything, viewer may look")
                        .required(true)
                        .value_parser(PossibleValuesParser::new(["admin", "viewer"])),
                )
                .arg(json()),
        )
        .subcommand(
            Command::new("password")
                .about("Give a user another password")
                .arg(user())
                .arg(password_file()),
        )
        .subcommand(
            Command::new("delete")
                .about("Delete a user")
                .arg(user())
                .arg(yes()),
        )
}

/// The option `--role`.
pub(super) fn role(default: &'static str, roles: &'static [&'static str]) -> Arg {
    Arg::new("role")
        .long("role")
        .value_name("ROLE")
        .help("admin may do everything, viewer may look")
        .default_value(default)
        .value_parser(PossibleValuesParser::new(roles))
}

fn password_file() -> Arg {
    Arg::new("password-file")
        .long("password-file")
        .value_name("FILE")
        .help("Take the password from a file, - for standard input")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("add", matches)) => add(session, matches).await,
        Some(("role", matches)) => set_role(session, matches).await,
        Some(("password", matches)) => password(session, matches).await,
        Some(("delete", matches)) => delete(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["users"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let UserList { users } = read(&body)?;
    let mut table = Table::new(&["USER", "ROLE", "SINCE"], 0);
    for user in users {
        table.row(vec![
            user.name,
            user.role,
            session.here.full(&user.created_at),
        ]);
    }
    if table.is_empty() {
        session
            .out
            .line("no users; add one with lightflow user add NAME")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn new_password(matches: &ArgMatches) -> Result<String, CliError> {
    match matches.get_one::<PathBuf>("password-file") {
        Some(file) => Ok(prompt::without_final_newline(prompt::read_text(file)?)),
        None if prompt::at_terminal() => prompt::new_secret("Password"),
        None => Err(CliError::Usage(
            "there is no terminal to ask for the password; use --password-file FILE (- for standard input)".to_owned(),
        )),
    }
}

async fn add(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let user = NewUser {
        name: text(matches, "name").to_owned(),
        password: new_password(matches)?,
        role: text(matches, "role").to_owned(),
    };
    let body = Body::json(&user)?;
    let answer = session
        .client
        .send(Method::POST, &path(&["users"]), body)
        .await?;
    session.done(
        matches,
        &answer,
        &format!("{} {} added", user.role, user.name),
    )
}

async fn set_role(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let (name, role) = (text(matches, "name"), text(matches, "role"));
    let body = Body::json(&UserPatch {
        role: role.to_owned(),
    })?;
    let url = path(&["users", name]);
    let answer = session.client.send(Method::PATCH, &url, body).await?;
    session.done(matches, &answer, &format!("{name} has the role {role}"))
}

async fn password(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    let body = Body::json(&PasswordBody {
        password: new_password(matches)?,
    })?;
    let url = path(&["users", name, "password"]);
    let answer = session.client.send(Method::PUT, &url, body).await?;
    session.done(matches, &answer, &format!("{name} has a new password"))
}

async fn delete(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    confirm(matches, &format!("Delete the user {name}"))?;
    let url = path(&["users", name]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("user {name} deleted"))
}
