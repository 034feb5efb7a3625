//! `lightflow audit`: who changed what.

use super::client::{path, query as query_of, read};
use super::error::CliError;
use super::session::{Session, json, text, wants_json};
use super::table::Table;
use crate::view::{AuditList, AuditView};
use clap::{Arg, ArgMatches, Command, value_parser};
use std::process::ExitCode;

/// The command and its options.
pub(super) fn command() -> Command {
    let option = |id: &'static str, value: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(value).help(help)
    };
    Command::new("audit")
        .about("Who changed what, newest first")
        .after_help(
            "Examples:\n  lightflow audit\n  \
             lightflow audit --kind task --name backup_immich --limit 10\n  \
             lightflow audit --actor ann --json",
        )
        .arg(option(
            "kind",
            "KIND",
            "About this kind of thing, such as task or user",
        ))
        .arg(option("name", "NAME", "About the thing of this name"))
        .arg(option("actor", "NAME", "Of this user or token"))
        .arg(
            option("limit", "NUMBER", "At most so many, 1 to 500")
                .default_value("50")
                .value_parser(value_parser!(u32).range(1..=500)),
        )
        .arg(
            option("before", "NUMBER", "Entries with a smaller number")
                .value_parser(value_parser!(i64)),
        )
        .arg(json())
}

/// Runs the command.
pub(super) async fn run(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let mut query: Vec<(&str, String)> = ["kind", "name", "actor"]
        .into_iter()
        .map(|key| (key, text(matches, key).to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if let Some(limit) = matches.get_one::<u32>("limit") {
        query.push(("limit", limit.to_string()));
    }
    if let Some(before) = matches.get_one::<i64>("before") {
        query.push(("before", before.to_string()));
    }
    let url = query_of(&path(&["audit"]), &query);
    let body = session.client.fetch(&url).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let AuditList { entries, .. } = read(&body)?;
    let mut table = Table::new(&["WHEN", "WHO", "WHAT", "CHANGES"], 3);
    for entry in &entries {
        table.row(vec![
            session.here.full(&entry.at),
            who(entry),
            format!("{} {} {}", entry.action, entry.kind, entry.name),
            changes(entry),
        ]);
    }
    if table.is_empty() {
        session.out.line("nothing was changed yet")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn who(entry: &AuditView) -> String {
    let name = match (entry.actor_kind.as_str(), entry.actor.as_str()) {
        ("user" | "local", name) => name.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, name) => format!("{kind} {name}"),
    };
    match entry.address.as_str() {
        "" => name,
        address => format!("{name} ({address})"),
    }
}

fn changes(entry: &AuditView) -> String {
    let one = |value: &Option<String>| value.as_deref().unwrap_or("–").replace('\n', "⏎");
    let fields = entry.changes.iter().map(|change| {
        format!(
            "{}: {} → {}",
            change.field,
            one(&change.old),
            one(&change.new)
        )
    });
    fields.collect::<Vec<_>>().join("; ")
}
