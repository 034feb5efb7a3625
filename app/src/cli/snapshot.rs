//! `lightflow snapshot`: a consistent copy of the database while the server runs.
//!
//! It works on the file itself and needs no server. The copy appears under its name
//! when it is complete and on the disk, never before.

use super::error::CliError;
use super::output::Out;
use crate::store::snapshot;
use clap::{Args, ValueHint};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Copy the database of this machine while the server runs
#[derive(Debug, Args)]
#[command(
    after_help = "The copy is consistent and complete. To restore it, stop the server, put it in\n\
        the place of lightflow.db and remove lightflow.db-wal and lightflow.db-shm.\n\n\
        Examples:\n  lightflow snapshot\n  lightflow snapshot /media/usb/lightflow.db"
)]
pub(super) struct Snapshot {
    /// Where to [default: backup/lightflow.db in the data directory]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl Snapshot {
    /// Writes the snapshot of the database in `data` and prints its path.
    pub(super) fn run(self, data: &Path) -> Result<ExitCode, CliError> {
        let live = data.join("lightflow.db");
        if !live.is_file() {
            return Err(CliError::Local(format!(
                "there is no database {}; name the data directory with --data-dir",
                live.display()
            )));
        }
        let target = self
            .file
            .unwrap_or_else(|| data.join("backup").join("lightflow.db"));
        let written = snapshot::write(&live, &target);
        let bytes = written.map_err(|error| CliError::Local(error.to_string()))?;
        let (path, size) = (target.display(), readable::size(bytes));
        Out::new().line(&format!("snapshot written: {path} ({size})"))?;
        Ok(ExitCode::SUCCESS)
    }
}
