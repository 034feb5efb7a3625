//! `lightflow library`: Python packages for the scripts.

use super::client::{path, read};
use super::error::CliError;
use super::session::{Session, Yes};
use super::table::Table;
use super::task_run::Waiting;
use crate::view::{InstallBody, LibraryList, Triggered};
use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use hyper::Method;
use std::process::ExitCode;

/// Python packages for the scripts: list, install, delete
#[derive(Debug, Subcommand)]
pub(super) enum LibraryCommand {
    /// List the installed packages
    List(super::session::JsonOption),
    /// Install packages with pip, as a run of the task libraries
    #[command(
        after_help = "Every step finds them. Variables such as PIP_INDEX_URL lead pip elsewhere.\n\n\
            Examples:\n  lightflow library install requests --follow\n  \
            lightflow library install 'paho-mqtt>=2,<3' --wait"
    )]
    Install {
        /// Name, and versions where you want them
        #[arg(value_name = "PACKAGE", required = true, num_args = 1..)]
        packages: Vec<String>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Delete a package, as a run of the task libraries
    #[command(
        alias = "remove",
        after_help = "The run fails, and nothing changes, where another package needs it."
    )]
    Delete {
        /// The package
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        waiting: Waiting,
    },
}

impl LibraryCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => {
                let table = |_: &_, LibraryList { libraries }| {
                    let mut table = Table::new(&["PACKAGE", "VERSION", "SUMMARY"], 2);
                    for library in libraries {
                        table.row(vec![library.name, library.version, library.summary]);
                    }
                    table
                };
                let url = path(&["libraries"]);
                session.list(json, &url, "no libraries", table).await
            }
            Self::Install { packages, waiting } => {
                let body = InstallBody { packages };
                let answer = session.send(Method::POST, &["libraries"], &body).await?;
                let Triggered { run } = read(&answer)?;
                waiting.started(session, &answer, run).await
            }
            Self::Delete { name, yes, waiting } => {
                yes.confirm(&format!("Delete the library {name}"))?;
                let answer = session.ask(Method::DELETE, &["libraries", &name]).await?;
                let Triggered { run } = read(&answer)?;
                waiting.started(session, &answer, run).await
            }
        }
    }
}
