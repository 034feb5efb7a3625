//! `lightflow pool`: limits of steps that run at once.

use super::client::path;
use super::error::CliError;
use super::session::{JsonOption, Session, Yes};
use super::table::Table;
use crate::view::{PoolBody, PoolList};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use hyper::Method;
use std::process::ExitCode;

/// Pools: list, create, edit, delete
#[derive(Debug, Subcommand)]
pub(super) enum PoolCommand {
    /// List all pools, and which runs hold or wait for their slots
    List(JsonOption),
    /// Create a pool
    #[command(after_help = "Example:\n  lightflow pool create backup --slots 1")]
    Create(Slots),
    /// Change a pool's slots; running steps are not stopped
    #[command(alias = "set")]
    Edit(Slots),
    /// Delete a pool that no task names
    Delete {
        /// The pool
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Debug, Args)]
pub(super) struct Slots {
    /// The pool
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// Steps that may run at once; 1 makes them wait for each other
    #[arg(long, value_name = "N")]
    slots: u32,
    #[command(flatten)]
    json: JsonOption,
}

impl PoolCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => list(session, json).await,
            Self::Create(slots) => slots.save(session, Method::POST).await,
            Self::Edit(slots) => slots.save(session, Method::PUT).await,
            Self::Delete { name, yes } => {
                let thing = format!("pool {name}");
                session.delete(yes, &["pools", &name], &thing).await
            }
        }
    }
}

async fn list(mut session: Session, json: JsonOption) -> Result<ExitCode, CliError> {
    let heads = ["POOL", "SLOTS", "TASKS", "RUNS INSIDE", "RUNS WAITING"];
    let table = |_: &_, PoolList { pools }| {
        let mut table = Table::new(&heads, 4).right(&[1, 2]);
        for pool in pools {
            table.row(vec![
                pool.name,
                pool.slots.to_string(),
                pool.tasks.to_string(),
                numbers(&pool.running),
                numbers(&pool.waiting),
            ]);
        }
        table
    };
    session
        .list(json, &path(&["pools"]), "no pools", table)
        .await
}

fn numbers(runs: &[i64]) -> String {
    if runs.is_empty() {
        return "-".to_owned();
    }
    let numbers: Vec<String> = runs.iter().map(ToString::to_string).collect();
    numbers.join(" ")
}

impl Slots {
    async fn save(self, mut session: Session, method: Method) -> Result<ExitCode, CliError> {
        let Self { name, slots, json } = self;
        let pool = PoolBody { name, slots };
        let parts: &[&str] = match method {
            Method::POST => &["pools"],
            _ => &["pools", &pool.name],
        };
        let answer = session.send(method, parts, &pool).await?;
        let slots = if pool.slots == 1 { "slot" } else { "slots" };
        let sentence = format!("pool {} has {} {slots}", pool.name, pool.slots);
        session.done(json, &answer, &sentence)
    }
}
