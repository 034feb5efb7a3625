//! `lightflow completions`: what a shell needs to complete the command line.

use super::error::CliError;
use super::output::Out;
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use std::process::ExitCode;

/// The subcommand and its arguments.
pub(super) fn command() -> Command {
    Command::new("completions")
        .about("Print a completion script for a shell")
        .after_help(
            "Examples:\n  lightflow completions bash > /etc/bash_completion.d/lightflow\n  \
             source <(lightflow completions zsh)",
        )
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .help("The shell")
                .required(true)
                .value_parser(value_parser!(Shell)),
        )
}

/// Prints the script for `root`, the whole command line.
pub(super) fn run(matches: &ArgMatches, mut root: Command) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        clap_complete::generate(*shell, &mut root, "lightflow", &mut script);
    }
    Out::new().bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
