//! The command line: one file a group of subcommands.
//!
//! Every command but `serve`, `demo`, `cron`, `snapshot` and `completions` is a client of
//! the HTTP API. Results go to standard output, everything else to standard error.

mod address;
mod audit;
mod certificate;
mod client;
mod completions;
mod connection;
pub mod cron;
mod data_folder;
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
#[cfg(test)]
mod reference;
mod run;
mod run_text;
mod script;
mod self_check;
pub mod serve;
mod session;
mod settings;
mod snapshot;
mod sse;
mod step_options;
mod table;
mod task;
mod task_duplicate;
mod task_edit;
mod task_run;
mod task_text;
mod token;
mod upkeep;
mod user;
mod variable;
mod watch;
mod web_thread;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use error::CliError;
use session::{Session, block_on};
use std::ffi::OsString;
use std::path::Path;
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
    run(matches).unwrap_or_else(|error| error.report())
}

fn run(matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let Some((group, matches)) = matches.subcommand() else {
        return Err(session::unknown());
    };
    match group {
        "serve" | "demo" if init::is_first() => init::run()
            .map_err(|error| CliError::Local(format!("cannot start the server: {error}"))),
        "serve" => {
            let data = matches.try_get_one("data-dir").ok().flatten();
            let data = data.map(|data: &std::path::PathBuf| Path::new(data));
            Ok(serve::run(&parsed(matches)?, data))
        }
        "cron" => Ok(cron::run(&parsed(matches)?)),
        "healthcheck" => Ok(healthcheck::run(matches)),
        "completions" => parsed::<completions::Completions>(matches)?.run(root()),
        "demo" => demo::run(&parsed(matches)?, matches),
        "snapshot" => {
            let data = address::data_directory(matches);
            parsed::<snapshot::Snapshot>(matches)?.run(&data)
        }
        group => ask(group, matches),
    }
}

/// The arguments of a command as its own type.
fn parsed<T: FromArgMatches>(matches: &ArgMatches) -> Result<T, CliError> {
    T::from_arg_matches(matches).map_err(|error| CliError::Usage(error.to_string()))
}

/// Runs a command that needs a server.
fn ask(group: &str, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let session = Session::new(matches)?;
    block_on(async move {
        match group {
            "task" => parsed::<task::TaskCommand>(matches)?.run(session).await,
            "run" => parsed::<run::RunCommand>(matches)?.run(session).await,
            "variable" => {
                let command = parsed::<variable::VariableCommand>(matches)?;
                command.run(session).await
            }
            "pool" => parsed::<pool::PoolCommand>(matches)?.run(session).await,
            "library" => {
                let command = parsed::<library::LibraryCommand>(matches)?;
                command.run(session).await
            }
            "connection" => {
                let command = parsed::<connection::ConnectionCommand>(matches)?;
                command.run(session).await
            }
            "script" => parsed::<script::ScriptCommand>(matches)?.run(session).await,
            "user" => parsed::<user::UserCommand>(matches)?.run(session).await,
            "token" => parsed::<token::TokenCommand>(matches)?.run(session).await,
            "session" => parsed::<login::SessionCommand>(matches)?.run(session).await,
            "audit" => parsed::<audit::Audit>(matches)?.run(session).await,
            "certificate" => {
                let command = parsed::<certificate::CertificateCommand>(matches)?;
                command.run(session).await
            }
            "notification" => {
                let command = parsed::<notification::NotificationCommand>(matches)?;
                command.run(session).await
            }
            "settings" => {
                let command = parsed::<settings::SettingsCommand>(matches)?;
                command.run(session).await
            }
            "export" => parsed::<export::Export>(matches)?.run(session).await,
            "import" => parsed::<export::Import>(matches)?.run(session).await,
            _ => Err(session::unknown()),
        }
    })
}

/// A command with subcommands.
fn group<C: Subcommand>(name: &'static str) -> Command {
    C::augment_subcommands(Command::new(name))
        .subcommand_required(true)
        .arg_required_else_help(true)
}

/// A command without subcommands.
fn single<A: Args>(name: &'static str) -> Command {
    A::augment_args(Command::new(name))
}

/// The options of a server in the network, for commands that work on this machine.
const REMOTE: &[&str] = &["url", "ca", "token-file"];

/// The command line with `serve` alone.
fn with_serve() -> Command {
    let root = Command::new("lightflow")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A tiny task runner: ordered steps, CRON, pools, variables, scripts, live logs")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .subcommand(address::hiding(REMOTE, single::<serve::Serve>("serve")));
    address::with_options(root)
}

/// The whole command line.
fn root() -> Command {
    let healthcheck =
        Command::new("healthcheck").about("Exit with 0 if the server is healthy, else with 1");
    with_serve()
        .subcommand(address::hiding(REMOTE, single::<demo::Demo>("demo")))
        .subcommand(group::<task::TaskCommand>("task"))
        .subcommand(group::<run::RunCommand>("run"))
        .subcommand(group::<variable::VariableCommand>("variable"))
        .subcommand(group::<pool::PoolCommand>("pool"))
        .subcommand(group::<script::ScriptCommand>("script"))
        .subcommand(group::<library::LibraryCommand>("library"))
        .subcommand(group::<connection::ConnectionCommand>("connection"))
        .subcommand(single::<export::Export>("export"))
        .subcommand(single::<export::Import>("import"))
        .subcommand(group::<user::UserCommand>("user"))
        .subcommand(group::<token::TokenCommand>("token"))
        .subcommand(group::<login::SessionCommand>("session"))
        .subcommand(single::<audit::Audit>("audit"))
        .subcommand(group::<certificate::CertificateCommand>("certificate"))
        .subcommand(group::<settings::SettingsCommand>("settings"))
        .subcommand(group::<notification::NotificationCommand>("notification"))
        .subcommand(address::hiding(address::ALL, single::<cron::Cron>("cron")))
        .subcommand(address::hiding(
            REMOTE,
            single::<snapshot::Snapshot>("snapshot"),
        ))
        .subcommand(healthcheck)
        .subcommand(address::hiding(
            address::ALL,
            single::<completions::Completions>("completions"),
        ))
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
