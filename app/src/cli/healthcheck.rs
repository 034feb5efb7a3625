//! `lightflow healthcheck`: whether the server answers, for a container's health check.

use super::address::Address;
use super::client::ApiClient;
use super::error::{CliError, FAILURE};
use super::output::Out;
use super::session::block_on;
use clap::ArgMatches;
use std::process::ExitCode;
use std::time::Duration;

/// Time limit of a healthy server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the server how it is.
pub(super) fn run(matches: &ArgMatches) -> ExitCode {
    let result = Address::from_matches(matches).and_then(|address| {
        block_on(async {
            let client = ApiClient::new(address);
            let answer = tokio::time::timeout(PATIENCE, client.fetch("/healthz")).await;
            answer.unwrap_or_else(|_| Err(CliError::Local("the server is silent".to_owned())))?;
            Out::new().line("ok")?;
            Ok(ExitCode::SUCCESS)
        })
    });
    match result {
        Ok(code) => code,
        Err(CliError::OutputClosed) => ExitCode::SUCCESS,
        // Health checks know two exit codes; 69 would be a third.
        Err(error) => {
            error.report();
            ExitCode::from(FAILURE)
        }
    }
}
