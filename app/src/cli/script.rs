//! `lightflow script`: the files that steps run.

use super::client::{Body, path};
use super::error::CliError;
use super::moment::Here;
use super::prompt;
use super::session::{JsonOption, Session, Yes};
use super::table::Table;
use crate::view::ScriptList;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueHint};
use hyper::Method;
use hyper::body::Bytes;
use std::path::PathBuf;
use std::process::ExitCode;

/// Scripts: list, show, edit, delete
#[derive(Debug, Subcommand)]
pub(super) enum ScriptCommand {
    /// List all scripts
    List(JsonOption),
    /// Print a script
    Show {
        /// The script
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Create a script, or replace the one of that name
    #[command(
        aliases = ["put", "create"],
        after_help = "A step runs it by its name: --command python3 --args 'backup.py --stop x'.\n\n\
            Examples:\n  lightflow script edit backup.py\n  \
            lightflow script edit ./new/backup-v2.py --name backup.py"
    )]
    Edit(EditScript),
    /// Make a script of a file that a step or a person put into the folder
    Adopt {
        /// The file
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Delete a script
    Delete {
        /// The script
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Debug, Args)]
pub(super) struct EditScript {
    /// The file, - for standard input (needs --name)
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Name of the script [default: the file's name]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    json: JsonOption,
}

impl ScriptCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => {
                let table = |here: &Here, ScriptList { scripts, others }| {
                    let mut table = Table::new(&["SCRIPT", "SIZE", "CHANGED"], 0).right(&[1]);
                    let others = others
                        .into_iter()
                        .map(|other| (other, " (no script; adopt it)"));
                    for (file, note) in scripts.into_iter().map(|s| (s, "")).chain(others) {
                        let changed = here.full(&file.modified_at);
                        let name = format!("{}{note}", file.name);
                        table.row(vec![name, readable::size(file.size), changed]);
                    }
                    table
                };
                let url = path(&["scripts"]);
                session.list(json, &url, "no scripts", table).await
            }
            Self::Show { name } => {
                let body = session.client.fetch(&path(&["scripts", &name])).await?;
                session.out.bytes(&body)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Edit(edit) => edit.run(session).await,
            Self::Adopt { name } => {
                let _: Bytes = session
                    .ask(Method::POST, &["scripts", &name, "adopt"])
                    .await?;
                session.out.line(&format!("{name} is a script now"))?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Delete { name, yes } => {
                let thing = format!("script {name}");
                session.delete(yes, &["scripts", &name], &thing).await
            }
        }
    }
}

impl EditScript {
    fn name(&self) -> Result<String, CliError> {
        let usage = |text: &str| Err(CliError::Usage(text.to_owned()));
        match &self.name {
            Some(name) if !name.is_empty() => return Ok(name.clone()),
            None if self.file.as_os_str() == "-" => {
                return usage("standard input has no name; add --name NAME");
            }
            _ => {}
        }
        match self.file.file_name() {
            Some(name) if self.name.is_none() => Ok(name.to_string_lossy().into_owned()),
            _ => usage("the script needs a name; add --name NAME"),
        }
    }

    async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let name = self.name()?;
        let bytes = prompt::read_file(&self.file)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (url, body) = (path(&["scripts", &name]), Body::Bytes(bytes.into()));
        let answer = session.client.send(Method::PUT, &url, body).await?;
        let sentence = format!("script {name} written ({})", readable::size(length));
        session.done(self.json, &answer, &sentence)
    }
}
