//! `lightflow token`: what programs show to be let in.

use super::client::{Body, path, read};
use super::error::{CliError, notice};
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use super::user::role;
use crate::view::{NewToken, TokenBody, TokenList};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use hyper::Method;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    Command::new("token")
        .about("API tokens: list, create, delete")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List all tokens").arg(json()))
        .subcommand(
            Command::new("create")
                .about("Make a token and print it, this once")
                .after_help(
                    "Examples:\n  lightflow token create dashboard\n  \
                     lightflow token create doorbell --role operator --task backup_immich\n  \
                     lightflow token create laptop --role admin --days 90 > token.txt",
                )
                .arg(name("name", "NAME", "What the token is called, unique"))
                .arg(
                    role("viewer", &["viewer", "operator", "admin"])
                        .help("viewer may look, operator also start and cancel runs, admin all"),
                )
                .arg(
                    Arg::new("task")
                        .long("task")
                        .value_name("TASK")
                        .help("Only this task, its runs and logs; may be given several times")
                        .action(ArgAction::Append),
                )
                .arg(
                    Arg::new("days")
                        .long("days")
                        .value_name("DAYS")
                        .help("End by itself after so many days [default: never]")
                        .value_parser(value_parser!(u32)),
                )
                .arg(json()),
        )
        .subcommand(
            Command::new("delete")
                .about("Delete a token: who shows it is no longer let in")
                .arg(name("name", "NAME", "The token's name"))
                .arg(yes()),
        )
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("create", matches)) => create(session, matches).await,
        Some(("delete", matches)) => delete(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["tokens"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let TokenList { tokens } = read(&body)?;
    let mut table = Table::new(&["TOKEN", "ROLE", "TASKS", "LAST USED", "EXPIRES"], 0);
    let here = &session.here;
    let time =
        |at: Option<String>, none: &str| at.map_or_else(|| none.to_owned(), |at| here.full(&at));
    for token in tokens {
        table.row(vec![
            token.name,
            token.role,
            token
                .tasks
                .map_or_else(|| "all".to_owned(), |tasks| tasks.join(", ")),
            time(token.used_at, "never"),
            time(token.expires_at, "never"),
        ]);
    }
    if table.is_empty() {
        session.out.line("no tokens")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = Body::json(&NewToken {
        name: text(matches, "name").to_owned(),
        role: text(matches, "role").to_owned(),
        tasks: matches
            .get_many::<String>("task")
            .map(|tasks| tasks.cloned().collect()),
        expires_in_days: matches.get_one::<u32>("days").copied(),
    })?;
    let answer = session
        .client
        .send(Method::POST, &path(&["tokens"]), body)
        .await?;
    if !wants_json(matches) {
        notice("keep it safe: it is not shown again");
    }
    let made: TokenBody = read(&answer)?;
    session.done(matches, &answer, &made.token)
}

async fn delete(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    confirm(matches, &format!("Delete the token {name}"))?;
    let url = path(&["tokens", name]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("token {name} deleted"))
}
