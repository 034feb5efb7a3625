//! `lightflow session`: the sessions of browsers.

use super::client::path;
use super::error::CliError;
use super::session::{JsonOption, Session, Yes};
use super::table::Table;
use crate::view::SessionList;
use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use std::process::ExitCode;

/// Sessions: list, delete
#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List who is logged in, and from where
    List(JsonOption),
    /// End a session: the browser has to log in again
    #[command(alias = "end")]
    Delete {
        /// The session's number, from the list
        #[arg(value_name = "NUMBER", value_parser = NonEmptyStringValueParser::new())]
        id: String,
        #[command(flatten)]
        yes: Yes,
    },
}

impl SessionCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => {
                let table = |here: &super::moment::Here, SessionList { sessions }| {
                    let heads = ["NUMBER", "USER", "LAST SEEN", "FROM", "BROWSER"];
                    let mut table = Table::new(&heads, 4);
                    for one in sessions {
                        table.row(vec![
                            one.id.to_string(),
                            one.user,
                            here.full(&one.seen_at),
                            one.address,
                            one.agent,
                        ]);
                    }
                    table
                };
                let url = path(&["sessions"]);
                session.list(json, &url, "no sessions", table).await
            }
            Self::Delete { id, yes } => {
                let thing = format!("session {id}");
                session.delete(yes, &["sessions", &id], &thing).await
            }
        }
    }
}
