//! `lightflow snapshot`: a consistent copy of the database while the server goes on.
//!
//! It works on the file itself and needs no server. The copy appears under its name
//! when it is complete and on the disk, never before.

use super::address;
use super::error::CliError;
use super::moment::size;
use super::output::Out;
use crate::store::snapshot;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommand and its arguments.
pub(super) fn command() -> Command {
    let command = Command::new("snapshot")
        .about("Copy the database of this machine while the server runs")
        .after_help(
            "The copy is consistent and complete. To restore it, stop the server, put it in\n\
             the place of lightflow.db and remove lightflow.db-wal and lightflow.db-shm.\n\n\
             Examples:\n  lightflow snapshot\n  lightflow snapshot /media/usb/lightflow.db",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("Where to [default: backup/lightflow.db in the data directory]")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath),
        );
    address::hiding(&["url", "ca", "token-file"], command)
}

/// Writes the snapshot and says where it is.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let data = address::data_directory(matches);
    let live = data.join("lightflow.db");
    if !live.is_file() {
        return Err(CliError::Local(format!(
            "there is no database {}; name the data directory with --data-dir",
            live.display()
        )));
    }
    let target = match matches.get_one::<PathBuf>("file") {
        Some(file) => file.clone(),
        None => data.join("backup").join("lightflow.db"),
    };
    let written = snapshot::write(&live, &target);
    let bytes = written.map_err(|error| CliError::Local(error.to_string()))?;
    let (path, size) = (target.display(), size(bytes));
    Out::new().line(&format!("snapshot written: {path} ({size})"))?;
    Ok(ExitCode::SUCCESS)
}
