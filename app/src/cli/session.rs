//! What a command works with: the client, standard output, and the time.

use super::address::Address;
use super::client::Client;
use super::error::CliError;
use super::moment::Here;
use super::output::Out;
use super::prompt;
use clap::{Arg, ArgAction, ArgMatches};
use std::future::Future;
use std::process::ExitCode;

/// One command's means.
pub(super) struct Session {
    /// Asks the server.
    pub(super) client: Client,
    /// Takes the result.
    pub(super) out: Out,
    /// Now and here.
    pub(super) here: Here,
}

impl Session {
    /// Finds out which server is meant; it is not asked yet.
    pub(super) fn new(matches: &ArgMatches) -> Result<Self, CliError> {
        Ok(Self {
            client: Client::new(Address::from_matches(matches)?),
            out: Out::new(),
            here: Here::new(),
        })
    }

    /// Prints what a change did: the API's answer to a script, a sentence to a person.
    pub(super) fn done(
        &mut self,
        matches: &ArgMatches,
        body: &[u8],
        sentence: &str,
    ) -> Result<ExitCode, CliError> {
        if wants_json(matches) && !body.is_empty() {
            self.out.json(body)?;
        } else if !wants_json(matches) {
            self.out.line(sentence)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs a command's work on a thread of its own making: this one.
pub(super) fn block_on<F>(work: F) -> Result<ExitCode, CliError>
where
    F: Future<Output = Result<ExitCode, CliError>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Local(format!("cannot start: {error}")))?
        .block_on(work)
}

/// The option `--json`.
pub(super) fn json() -> Arg {
    Arg::new("json")
        .long("json")
        .help("Print the API's JSON")
        .action(ArgAction::SetTrue)
}

/// Whether `--json` was given to a command that has it.
pub(super) fn wants_json(matches: &ArgMatches) -> bool {
    matches!(matches.try_get_one("json"), Ok(Some(true)))
}

/// The option `--yes`.
pub(super) fn yes() -> Arg {
    Arg::new("yes")
        .long("yes")
        .short('y')
        .help("Do not ask; without a terminal nothing is asked anyway")
        .action(ArgAction::SetTrue)
}

/// Asks a person at a terminal whether to go on; a script means what it says.
pub(super) fn confirm(matches: &ArgMatches, question: &str) -> Result<(), CliError> {
    if matches.get_flag("yes") || !prompt::at_terminal() || prompt::confirm(question)? {
        return Ok(());
    }
    Err(CliError::Local("nothing was done".to_owned()))
}

/// A required name.
pub(super) fn name(id: &'static str, value_name: &'static str, help: &'static str) -> Arg {
    Arg::new(id)
        .value_name(value_name)
        .help(help)
        .required(true)
        .value_parser(clap::builder::NonEmptyStringValueParser::new())
}

/// The text of an argument that is there.
pub(super) fn text<'a>(matches: &'a ArgMatches, id: &str) -> &'a str {
    matches.get_one::<String>(id).map_or("", String::as_str)
}

/// The answer to a subcommand that clap knows and the dispatch does not.
pub(super) fn unknown() -> CliError {
    CliError::Usage("there is no such command; see lightflow --help".to_owned())
}
