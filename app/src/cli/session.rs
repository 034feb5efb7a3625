//! The tools of a command: the client, standard output, the time, and the acts that commands share
//! with them.

use super::address::{Address, data_directory};
use super::client::{ApiClient, Body, path, read};
use super::error::CliError;
use super::moment::Here;
use super::output::Out;
use super::prompt;
use super::table::Table;
use clap::ArgMatches;
use hyper::Method;
use hyper::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

/// The option `--json`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct JsonOption {
    /// Print the API's JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The option `--yes`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Yes {
    /// Do not ask; without a terminal nothing is asked anyway
    #[arg(long, short)]
    yes: bool,
}

impl Yes {
    /// Asks a person at a terminal for a confirmation; a script is not asked.
    pub(super) fn confirm(self, question: &str) -> Result<(), CliError> {
        if self.yes || !prompt::at_terminal() || prompt::confirm(question)? {
            return Ok(());
        }
        Err(CliError::Local("nothing was done".to_owned()))
    }
}

/// The tools of one command.
pub(super) struct Session {
    /// Sends requests to the server.
    pub(super) client: ApiClient,
    /// Takes the result.
    pub(super) out: Out,
    /// Time and time zone.
    pub(super) here: Here,
    /// The data directory of this machine.
    pub(super) data: PathBuf,
}

impl Session {
    /// A session with the server that the options name; nothing is sent yet.
    pub(super) fn new(matches: &ArgMatches) -> Result<Self, CliError> {
        Ok(Self {
            client: ApiClient::new(Address::from_matches(matches)?),
            data: data_directory(matches),
            out: Out::new(),
            here: Here::new(),
        })
    }

    /// Sends a JSON body.
    pub(super) async fn send<T: Serialize>(
        &self,
        method: Method,
        parts: &[&str],
        body: &T,
    ) -> Result<Bytes, CliError> {
        let body = Body::json(body)?;
        self.client.send(method, &path(parts), body).await
    }

    /// Sends a request without a body.
    pub(super) async fn ask(&self, method: Method, parts: &[&str]) -> Result<Bytes, CliError> {
        self.client.send(method, &path(parts), Body::Empty).await
    }

    /// Prints a list: the API's JSON for a script, a table for a person, or `none`.
    pub(super) async fn list<T: DeserializeOwned>(
        &mut self,
        json: JsonOption,
        url: &str,
        none: &str,
        table: impl FnOnce(&Here, T) -> Table,
    ) -> Result<ExitCode, CliError> {
        let body = self.client.fetch(url).await?;
        if json.json {
            self.out.json(&body)?;
            return Ok(ExitCode::SUCCESS);
        }
        let table = table(&self.here, read(&body)?);
        if table.is_empty() {
            self.out.line(none)?;
        } else {
            self.out.text(&table.render(self.out.width(), 0))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Deletes a thing, after a confirmation.
    pub(super) async fn delete(
        &mut self,
        yes: Yes,
        parts: &[&str],
        thing: &str,
    ) -> Result<ExitCode, CliError> {
        yes.confirm(&format!("Delete the {thing}"))?;
        self.ask(Method::DELETE, parts).await?;
        self.out.line(&format!("{thing} deleted"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Prints the result of a change: the API's answer for a script, a sentence for a person.
    pub(super) fn done(
        &mut self,
        json: JsonOption,
        body: &[u8],
        sentence: &str,
    ) -> Result<ExitCode, CliError> {
        if !json.json {
            self.out.line(sentence)?;
        } else if !body.is_empty() {
            self.out.json(body)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs a command's work on this thread.
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

/// The answer to a subcommand that clap knows and the dispatch does not.
pub(super) fn unknown() -> CliError {
    CliError::Usage("there is no such command; see lightflow --help".to_owned())
}
