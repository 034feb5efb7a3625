//! `lightflow pool`: how many steps run at once.

use super::client::{Body, path, read};
use super::error::CliError;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use crate::view::{PoolBody, PoolList};
use clap::{Arg, ArgMatches, Command, value_parser};
use hyper::Method;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    let pool = || name("name", "NAME", "The pool");
    Command::new("pool")
        .about("Pools: list, create, set, delete")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List all pools, and which runs hold or wait for their slots")
                .arg(json()),
        )
        .subcommand(
            Command::new("create")
                .about("Create a pool")
                .after_help("Example:\n  lightflow pool create backup --slots 1")
                .arg(pool())
                .arg(slots())
                .arg(json()),
        )
        .subcommand(
            Command::new("set")
                .about("Change a pool's slots; running steps are not stopped")
                .arg(pool())
                .arg(slots())
                .arg(json()),
        )
        .subcommand(
            Command::new("delete")
                .about("Delete a pool that no task names")
                .arg(pool())
                .arg(yes()),
        )
}

fn slots() -> Arg {
    Arg::new("slots")
        .long("slots")
        .value_name("N")
        .help("Steps that may run at once; 1 makes them wait for each other")
        .required(true)
        .value_parser(value_parser!(u32))
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("create", matches)) => put(session, matches, Method::POST).await,
        Some(("set", matches)) => put(session, matches, Method::PUT).await,
        Some(("delete", matches)) => delete(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["pools"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let PoolList { pools } = read(&body)?;
    let mut table = Table::new(
        &["POOL", "SLOTS", "TASKS", "RUNS INSIDE", "RUNS WAITING"],
        4,
    )
    .right(&[1, 2]);
    for pool in pools {
        table.row(vec![
            pool.name,
            pool.slots.to_string(),
            pool.tasks.to_string(),
            numbers(&pool.running),
            numbers(&pool.waiting),
        ]);
    }
    session.out.text(&table.render(session.out.width(), 0))?;
    Ok(ExitCode::SUCCESS)
}

fn numbers(runs: &[i64]) -> String {
    if runs.is_empty() {
        return "-".to_owned();
    }
    let numbers: Vec<String> = runs.iter().map(ToString::to_string).collect();
    numbers.join(" ")
}

async fn put(
    mut session: Session,
    matches: &ArgMatches,
    method: Method,
) -> Result<ExitCode, CliError> {
    let pool = PoolBody {
        name: text(matches, "name").to_owned(),
        slots: matches.get_one::<u32>("slots").copied().unwrap_or_default(),
    };
    let url = if method == Method::POST {
        path(&["pools"])
    } else {
        path(&["pools", &pool.name])
    };
    let answer = session
        .client
        .send(method, &url, Body::json(&pool)?)
        .await?;
    let slots = if pool.slots == 1 { "slot" } else { "slots" };
    let sentence = format!("pool {} has {} {slots}", pool.name, pool.slots);
    session.done(matches, &answer, &sentence)
}

async fn delete(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    confirm(matches, &format!("Delete the pool {name}"))?;
    let url = path(&["pools", name]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("pool {name} deleted"))
}
