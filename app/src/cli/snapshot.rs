//! `lightflow snapshot`: a consistent copy of the database while the server goes on.
//!
//! It works on the file itself and needs no server. The copy appears under its name
//! when it is complete and on the disk, never before.

use super::address;
use super::error::CliError;
use super::moment::size;
use super::output::Out;
use crate::store;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
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
    let bytes = write(&live, &target)?;
    let (path, size) = (target.display(), size(bytes));
    Out::new().line(&format!("snapshot written: {path} ({size})"))?;
    Ok(ExitCode::SUCCESS)
}

fn write(live: &Path, target: &Path) -> Result<u64, CliError> {
    let cannot = |error: &dyn std::fmt::Display| {
        CliError::Local(format!("cannot write {}: {error}", target.display()))
    };
    let Some(name) = target.file_name() else {
        return Err(cannot(&"it has no file name"));
    };
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
    let mut partial = name.to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = Partial(folder.join(partial));
    partial.create().map_err(|error| cannot(&error))?;
    store::snapshot(live, &partial.0).map_err(|error| cannot(&error))?;
    partial
        .become_file(target, folder)
        .map_err(|error| cannot(&error))
}

/// A file that is removed again unless it becomes the real one.
struct Partial(PathBuf);

impl Partial {
    /// Only its owner may read it: it holds the hashes of passwords and tokens.
    fn create(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&self.0).map(drop)
    }

    fn become_file(&self, target: &Path, folder: &Path) -> io::Result<u64> {
        let file = File::open(&self.0)?;
        file.sync_all()?;
        fs::rename(&self.0, target)?;
        File::open(folder)?.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing of this name.
        let _ = fs::remove_file(&self.0);
        for end in ["-journal", "-wal", "-shm"] {
            let mut beside = self.0.clone().into_os_string();
            beside.push(end);
            let _ = fs::remove_file(beside);
        }
    }
}
