//! `lightflow token`: API tokens, the credentials of programs.

use super::client::{path, read};
use super::error::{CliError, notice};
use super::session::{JsonOption, Session, Yes};
use super::table::Table;
use crate::view::{DEFAULT_TOKEN_DAYS, NewToken, TokenBody, TokenList};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use hyper::Method;
use std::process::ExitCode;

/// API tokens: list, create, delete
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// List all tokens
    List(JsonOption),
    /// Create a token and print it, this once
    #[command(after_help = "Examples:\n  lightflow token create dashboard\n  \
            lightflow token create doorbell --role operator --task backup_immich\n  \
            lightflow token create laptop --role admin --days 90 > token.txt")]
    Create(CreateToken),
    /// Revoke a token
    Delete {
        /// The token's name
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateToken {
    /// Name of the token, unique
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// viewer may look, operator also start and cancel runs, admin all
    #[arg(long, default_value = "viewer", value_parser = ["viewer", "operator", "admin"])]
    role: String,
    /// Only this task, its runs and logs; may be given several times
    #[arg(long)]
    task: Option<Vec<String>>,
    /// Days until the token expires, or never
    #[arg(long, default_value_t = DEFAULT_TOKEN_DAYS.to_string(), value_parser = days)]
    days: String,
    #[command(flatten)]
    json: JsonOption,
}

fn days(text: &str) -> Result<String, String> {
    match text {
        "never" => Ok(text.to_owned()),
        text => match text.parse::<u32>() {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err("use a number of days, or never".to_owned()),
        },
    }
}

impl TokenCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => list(session, json).await,
            Self::Create(create) => create.run(session).await,
            Self::Delete { name, yes } => {
                let thing = format!("token {name}");
                session.delete(yes, &["tokens", &name], &thing).await
            }
        }
    }
}

async fn list(mut session: Session, json: JsonOption) -> Result<ExitCode, CliError> {
    let table = |here: &super::moment::Here, TokenList { tokens }| {
        let mut table = Table::new(&["TOKEN", "ROLE", "TASKS", "LAST USED", "EXPIRES"], 0);
        let time = |at: Option<String>| at.map_or_else(|| "never".to_owned(), |at| here.full(&at));
        for token in tokens {
            let tasks = token.tasks.map(|tasks| tasks.join(", "));
            table.row(vec![
                token.name,
                token.role,
                tasks.unwrap_or_else(|| "all".to_owned()),
                time(token.used_at),
                time(token.expires_at),
            ]);
        }
        table
    };
    session
        .list(json, &path(&["tokens"]), "no tokens", table)
        .await
}

impl CreateToken {
    async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let body = NewToken {
            name: self.name,
            role: self.role,
            tasks: self.task,
            expires_in_days: self.days.parse().ok(),
        };
        let answer = session.send(Method::POST, &["tokens"], &body).await?;
        if !self.json.json {
            notice("keep it safe: it is not shown again");
        }
        let created: TokenBody = read(&answer)?;
        session.done(self.json, &answer, &created.token)
    }
}
