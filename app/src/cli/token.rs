//! `lightflow token`: what programs show to be let in.

use super::client::{Body, path, read};
use super::error::{CliError, notice};
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use super::user::role;
use crate::view::{NewToken, TokenBody, TokenList};
use clap::{ArgMatches, Command};
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
                     lightflow token create laptop --role admin > token.txt",
                )
                .arg(name("name", "NAME", "What the token is called, unique"))
                .arg(role("viewer"))
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
    let mut table = Table::new(&["TOKEN", "ROLE", "SINCE"], 0);
    for token in tokens {
        table.row(vec![
            token.name,
            token.role,
            session.here.full(&token.created_at),
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
