//! `lightflow export` and `import`: the whole configuration as one TOML file.

use super::client::{Body, path, query, read};
use super::error::{CliError, notice};
use super::prompt;
use super::session::{Session, json, wants_json};
use super::table::Table;
use crate::view::{ImportReport, Imported};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// `export` and its arguments.
pub(super) fn export_command() -> Command {
    Command::new("export")
        .about("Write pools, variables, scripts and tasks as one TOML file")
        .after_help(
            "Secret variables are in it by name only.\n\n\
             Examples:\n  lightflow export lightflow.toml\n  lightflow export | less",
        )
        .arg(file("Where to [default: standard output]"))
}

/// `import` and its arguments.
pub(super) fn import_command() -> Command {
    Command::new("import")
        .about("Read what export wrote: adds and changes, deletes nothing")
        .after_help(
            "All of it is done, or nothing.\n\n\
             Examples:\n  lightflow import lightflow.toml --dry-run\n  \
             lightflow import lightflow.toml",
        )
        .arg(file("The file, - for standard input").required(true))
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .help("Say what would be done and change nothing")
                .action(ArgAction::SetTrue),
        )
        .arg(json())
}

fn file(help: &'static str) -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .help(help)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
}

/// Writes the configuration.
pub(super) async fn export(
    mut session: Session,
    matches: &ArgMatches,
) -> Result<ExitCode, CliError> {
    let text = session.client.fetch(&path(&["export"])).await?;
    match matches.get_one::<PathBuf>("file") {
        Some(file) if file.as_os_str() != "-" => {
            std::fs::write(file, &text).map_err(|error| {
                CliError::Local(format!("cannot write {}: {error}", file.display()))
            })?;
            session
                .out
                .line(&format!("written to {}", file.display()))?;
        }
        _ => session.out.bytes(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration.
pub(super) async fn import(
    mut session: Session,
    matches: &ArgMatches,
) -> Result<ExitCode, CliError> {
    let file = matches
        .get_one::<PathBuf>("file")
        .cloned()
        .unwrap_or_default();
    let text = prompt::read_file(&file)?;
    let dry_run = matches.get_flag("dry-run").to_string();
    let url = query(&path(&["import"]), &[("dry_run", dry_run)]);
    let answer = session
        .client
        .send(Method::POST, &url, Body::Toml(text.into()))
        .await?;
    let report: ImportReport = read(&answer)?;
    if wants_json(matches) {
        session.out.json(&answer)?;
    } else {
        let text = in_words(&report, session.out.width());
        session.out.text(&text)?;
    }
    for key in &report.missing_secrets {
        notice(&format!(
            "secret {key} has no value yet: lightflow variable set {key} --secret --file FILE"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(report: &ImportReport, width: Option<usize>) -> String {
    let mut table = Table::new(&["CHANGE", "KIND", "NAME"], 2);
    let is_new = |item: &&Imported| item.change != "unchanged";
    for item in report.items.iter().filter(is_new) {
        table.row(vec![
            item.change.clone(),
            item.kind.clone(),
            item.name.clone(),
        ]);
    }
    let count = |change: &str| {
        report
            .items
            .iter()
            .filter(|item| item.change == change)
            .count()
    };
    let mut text = String::new();
    if !table.is_empty() {
        text.push_str(&table.render(width, 0));
        text.push('\n');
    }
    text.push_str(&format!(
        "{}{} added, {} changed, {} unchanged\n",
        if report.dry_run { "only tried: " } else { "" },
        count("added"),
        count("changed"),
        count("unchanged"),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_shows_what_changed_and_counts_the_rest() {
        let item = |kind: &str, name: &str, change: &str| Imported {
            kind: kind.to_owned(),
            name: name.to_owned(),
            change: change.to_owned(),
        };
        let report = ImportReport {
            dry_run: true,
            items: vec![
                item("pool", "backup", "added"),
                item("task", "t", "unchanged"),
            ],
            missing_secrets: vec![],
        };
        assert_eq!(
            in_words(&report, None),
            "CHANGE  KIND  NAME\nadded   pool  backup\n\nonly tried: 1 added, 0 changed, 1 unchanged\n"
        );
    }
}
