//! `lightflow session`: who is logged in, and the end of that.

use super::client::{Body, path, read};
use super::error::CliError;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use crate::view::SessionList;
use clap::{ArgMatches, Command};
use hyper::Method;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    Command::new("session")
        .about("Logins that last: list, end")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List who is logged in, and from where")
                .arg(json()),
        )
        .subcommand(
            Command::new("end")
                .about("End a session: the browser has to log in again")
                .arg(name("id", "NUMBER", "The session's number, from the list"))
                .arg(yes()),
        )
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("end", matches)) => end(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["sessions"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let SessionList { sessions } = read(&body)?;
    let mut table = Table::new(&["NUMBER", "USER", "LAST SEEN", "FROM", "BROWSER"], 4);
    for one in sessions {
        table.row(vec![
            one.id.to_string(),
            one.user,
            session.here.full(&one.seen_at),
            one.address,
            one.agent,
        ]);
    }
    if table.is_empty() {
        session.out.line("nobody is logged in")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn end(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let id = text(matches, "id");
    confirm(matches, &format!("End the session {id}"))?;
    let url = path(&["sessions", id]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("session {id} ended"))
}
