//! `lightflow connection`: the way from the runner to the gate.

use super::client::read;
use super::error::CliError;
use super::session::Session;
use super::task_run::Waiting;
use crate::view::Triggered;
use clap::Subcommand;
use hyper::Method;
use std::process::ExitCode;

/// The way from the runner to the gate: test
#[derive(Debug, Subcommand)]
pub(super) enum ConnectionCommand {
    /// Send a request that the gate must refuse, and show the answer
    #[command(
        after_help = "Logs in to BACKUP_HOST with BACKUP_SSH_KEY and asks for backupctl --list. The gate's refusal\n\
            proves that address, host key, key, account, forced command and gate work.\n\
            Exits with 0 if so, else with 1."
    )]
    Test,
}

impl ConnectionCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::Test => {
                let answer = session.ask(Method::POST, &["connection", "test"]).await?;
                let Triggered { run } = read(&answer)?;
                Waiting::FOLLOWING.started(session, &answer, run).await
            }
        }
    }
}
