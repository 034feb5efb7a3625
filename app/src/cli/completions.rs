//! `lightflow completions`: a completion script for a shell.

use super::error::CliError;
use super::output::Out;
use clap::{Args, Command};
use clap_complete::Shell;
use std::process::ExitCode;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lightflow completions bash > /etc/bash_completion.d/lightflow\n  \
        source <(lightflow completions zsh)"
)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script for `root`, the whole command line.
    pub(super) fn run(&self, mut root: Command) -> Result<ExitCode, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut root, "lightflow", &mut script);
        Out::new().bytes(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
