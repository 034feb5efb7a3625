//! The command line: one file a group of subcommands.
//!
//! Every command but `serve`, `demo`, `cron`, `snapshot` and `completions` is a client of
//! the HTTP API. Results go to standard output, everything else to standard error.

mod address;
mod audit;
mod certificate;
mod client;
mod completions;
pub mod cron;
mod demo;
mod error;
mod export;
mod healthcheck;
mod init;
mod library;
mod log;
mod login;
mod moment;
mod notification;
mod output;
mod pinned;
mod pool;
mod prompt;
mod readiness;
mod run;
mod run_text;
mod script;
pub mod serve;
mod session;
mod settings;
mod snapshot;
mod sse;
mod step_options;
mod table;
mod task;
mod task_edit;
mod task_run;
mod task_text;
mod token;
mod user;
mod variable;
mod watch;

use clap::{ArgMatches, Command};
use error::CliError;
use session::{Session, block_on};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line `args`, the program's name first.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    // The server lives for months, so it does not carry the description of every other
    // command along.
    let root = if args.get(1).is_some_and(|word| word == "serve") {
        with_serve()
    } else {
        root()
    };
    match root.try_get_matches_from(args) {
        Ok(matches) => dispatch(&matches),
        Err(error) => {
            // Help, or a mistake; with the output closed the exit code still tells.
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn dispatch(matches: &ArgMatches) -> ExitCode {
    let result = match matches.subcommand() {
        Some(("serve" | "demo", _)) if init::is_first() => init::run()
            .map_err(|error| CliError::Local(format!("cannot start the server: {error}"))),
        Some(("serve", matches)) => return serve::run(matches),
        Some(("cron", matches)) => return cron::run(matches),
        Some(("healthcheck", matches)) => return healthcheck::run(matches),
        Some(("completions", matches)) => completions::run(matches, root()),
        Some(("demo", matches)) => demo::run(matches),
        Some(("snapshot", matches)) => snapshot::run(matches),
        Some((group, matches)) => ask(group, matches),
        None => Err(session::unknown()),
    };
    result.unwrap_or_else(|error| error.report())
}

/// Runs a command that needs a server.
fn ask(group: &str, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let session = Session::new(matches)?;
    block_on(async move {
        match group {
            "task" => task::run(session, matches).await,
            "run" => run::run(session, matches).await,
            "variable" => variable::run(session, matches).await,
            "pool" => pool::run(session, matches).await,
            "library" => library::run(session, matches).await,
            "script" => script::run(session, matches).await,
            "user" => user::run(session, matches).await,
            "token" => token::run(session, matches).await,
            "session" => login::run(session, matches).await,
            "audit" => audit::run(session, matches).await,
            "certificate" => certificate::run(session, matches).await,
            "notification" => notification::run(session, matches).await,
            "settings" => settings::run(session, matches).await,
            "export" => export::export(session, matches).await,
            "import" => export::import(session, matches).await,
            _ => Err(session::unknown()),
        }
    })
}

/// The command line with `serve` alone.
fn with_serve() -> Command {
    let root = Command::new("lightflow")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A tiny task runner: ordered steps, CRON, pools, variables, scripts, live logs")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .subcommand(address::hiding(
            &["url", "ca", "token-file"],
            serve::command(),
        ));
    address::with_options(root)
}

/// The whole command line.
fn root() -> Command {
    with_serve()
        .subcommand(demo::command())
        .subcommand(task::command())
        .subcommand(run::command())
        .subcommand(variable::command())
        .subcommand(pool::command())
        .subcommand(script::command())
        .subcommand(library::command())
        .subcommand(export::export_command())
        .subcommand(export::import_command())
        .subcommand(user::command())
        .subcommand(token::command())
        .subcommand(login::command())
        .subcommand(audit::command())
        .subcommand(certificate::command())
        .subcommand(settings::command())
        .subcommand(notification::command())
        .subcommand(address::hiding(address::ALL, cron::command()))
        .subcommand(snapshot::command())
        .subcommand(healthcheck::command())
        .subcommand(address::hiding(address::ALL, completions::command()))
}

const AFTER_HELP: &str = "\
Examples:
  lightflow serve                        start the server
  lightflow demo                         try it out, with sample tasks
  lightflow task list
  lightflow task run backup_vaultwarden --follow
  lightflow run logs 12 sync
  lightflow cron '0 3 * * 1-5' --tz Europe/Paris

A command talks to the server on this machine through the socket in its data
directory, or over the network with --url, --ca and a token (see --help).

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 69 no server answers.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        root().debug_assert();
    }
}
