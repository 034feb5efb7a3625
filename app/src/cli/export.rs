//! `lightflow export` and `import`: the whole configuration as one TOML file.

use super::client::{Body, path, query, read};
use super::error::{CliError, notice};
use super::prompt;
use super::session::{JsonOption, Session};
use super::table::Table;
use crate::store::snapshot_place::outside_or_in;
use crate::view::{ImportReport, Imported};
use clap::{Args, ValueHint};
use hyper::Method;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write pools, variables, scripts, libraries and tasks as one TOML file
#[derive(Debug, Args)]
#[command(after_help = "Secret variables are in it by name only.\n\n\
        Examples:\n  lightflow export lightflow.toml\n  lightflow export | less")]
pub(super) struct Export {
    /// Where to [default: standard output]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Read a file that export wrote: adds and changes, deletes nothing
#[derive(Debug, Args)]
#[command(after_help = "All of it is done, or nothing.\n\n\
        Examples:\n  lightflow import lightflow.toml --dry-run\n  \
        lightflow import lightflow.toml")]
pub(super) struct Import {
    /// The file, - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Print the changes and make none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    json: JsonOption,
}

impl Export {
    /// Writes the configuration.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let text = session.client.fetch(&path(&["export"])).await?;
        match self.file {
            Some(file) if file.as_os_str() != "-" => {
                write(&session.data, &file, &text).map_err(|error| {
                    CliError::Local(format!("cannot write {}: {error}", file.display()))
                })?;
                let written = format!("written to {}", file.display());
                session.out.line(&written)?;
            }
            _ => session.out.bytes(&text)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes an export, but never over a file of the server: `lightflow export lightflow.db` would end it.
fn write(data: &Path, file: &Path, text: &[u8]) -> io::Result<()> {
    if data.is_dir() {
        outside_or_in(data, file, Some(Path::new("backup")))?;
    }
    let (folder, name) = file
        .parent()
        .zip(file.file_name().and_then(|name| name.to_str()))
        .ok_or(io::ErrorKind::InvalidInput)?;
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    if std::fs::symlink_metadata(file).is_ok_and(|found| !found.is_file()) {
        // A pipe or a device, such as /dev/stdout.
        return std::fs::write(file, text);
    }
    durable::replace(File::open(folder)?, name, text)
}

impl Import {
    /// Reads a configuration.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let text = prompt::read_file(&self.file)?;
        let dry_run = self.dry_run.to_string();
        let url = query(&path(&["import"]), &[("dry_run", dry_run)]);
        let answer = session
            .client
            .send(Method::POST, &url, Body::Toml(text.into()))
            .await?;
        let report: ImportReport = read(&answer)?;
        if self.json.json {
            session.out.json(&answer)?;
        } else {
            let text = in_words(&report, session.out.width());
            session.out.text(&text)?;
        }
        for key in &report.missing_secrets {
            notice(&format!(
                "secret {key} has no value yet: lightflow variable edit {key} --secret --file FILE"
            ));
        }
        if let Some(run) = report.libraries_run {
            notice(&format!(
                "run {run} installs the libraries: lightflow run logs {run} --follow"
            ));
        }
        if let Some(why) = &report.libraries_error {
            notice(&format!("the libraries are not installed: {why}"));
        }
        Ok(ExitCode::SUCCESS)
    }
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
            ..ImportReport::default()
        };
        assert_eq!(
            in_words(&report, None),
            "CHANGE  KIND  NAME\nadded   pool  backup\n\nonly tried: 1 added, 0 changed, 1 unchanged\n"
        );
    }
}
