//! `lightflow variable`: the environment of all steps.

use super::client::{path, read};
use super::error::{CliError, notice};
use super::prompt;
use super::session::{JsonOption, Session, Yes};
use super::table::Table;
use crate::view::{VariableBody, VariableList, VariableView};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueHint};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// Variables: list, show, edit, delete
#[derive(Debug, Subcommand)]
pub(super) enum VariableCommand {
    /// List all variables
    List(JsonOption),
    /// Print a variable's value
    #[command(alias = "get")]
    Show {
        /// The variable
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key: String,
        #[command(flatten)]
        json: JsonOption,
    },
    /// Create or change a variable; every step finds it in its environment
    #[command(
        aliases = ["set", "create"],
        after_help = "A variable that is secret stays secret when it is set again, unless --plain\n\
            is given. Without VALUE and --file, a terminal asks for the value.\n\n\
            Examples:\n  lightflow variable edit ONEDRIVE_REMOTE onedrive\n  \
            lightflow variable edit BACKUP_SSH_KEY --secret --file id_ed25519\n  \
            pass show backup | lightflow variable edit PASSWORD --secret --file -"
    )]
    Edit(EditVariable),
    /// Delete a variable
    Delete {
        /// The variable
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key: String,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Debug, Args)]
pub(super) struct EditVariable {
    /// Its name in the environment
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    key: String,
    /// Its value
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    /// Take the value from a file, - for standard input
    #[arg(long, value_hint = ValueHint::FilePath, conflicts_with = "value")]
    file: Option<PathBuf>,
    /// Keep the newline at the end of the file
    #[arg(long, requires = "file")]
    exact: bool,
    /// Never show the value again, and mask it in logs
    #[arg(long, conflicts_with = "plain")]
    secret: bool,
    /// Show the value, also of a variable that was secret
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    json: JsonOption,
}

impl VariableCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => list(session, json).await,
            Self::Show { key, json } => show(session, &key, json).await,
            Self::Edit(edit) => edit.run(session).await,
            Self::Delete { key, yes } => {
                let thing = format!("variable {key}");
                session.delete(yes, &["variables", &key], &thing).await
            }
        }
    }
}

async fn list(mut session: Session, json: JsonOption) -> Result<ExitCode, CliError> {
    let table = |here: &super::moment::Here, VariableList { variables }| {
        let mut table = Table::new(&["KEY", "VALUE", "SET"], 1);
        for variable in variables {
            let value = match &variable.value {
                None => "(secret)".to_owned(),
                Some(value) => value.replace(['\n', '\r'], "⏎"),
            };
            table.row(vec![variable.key, value, here.age(&variable.updated_at)]);
        }
        table
    };
    session
        .list(json, &path(&["variables"]), "no variables", table)
        .await
}

async fn show(mut session: Session, key: &str, json: JsonOption) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["variables", key])).await?;
    if json.json {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: VariableView = read(&body)?;
    let Some(value) = view.value else {
        return Err(CliError::Local(format!(
            "{key} is secret: it can be set and used, but not shown"
        )));
    };
    session.out.text(&format!("{value}\n"))?;
    Ok(ExitCode::SUCCESS)
}

impl EditVariable {
    async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let secret = match (self.secret, self.plain) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => self.is_secret(&session).await?,
        };
        let value = self.value(secret)?;
        let key = self.key;
        let body = VariableBody { value, secret };
        let answer = session
            .send(Method::PUT, &["variables", &key], &body)
            .await?;
        let kind = match secret {
            true => "secret variable",
            false => "variable",
        };
        session.done(self.json, &answer, &format!("{kind} {key} set"))
    }

    /// Reports if there is a secret of that name, which must not become readable by accident.
    async fn is_secret(&self, session: &Session) -> Result<bool, CliError> {
        let url = path(&["variables", &self.key]);
        match session.client.get::<VariableView>(&url).await {
            Ok(view) => Ok(view.secret),
            Err(CliError::Refused(problem)) if problem.status == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn value(&self, secret: bool) -> Result<String, CliError> {
        if let Some(value) = &self.value {
            if secret {
                notice(
                    "warning: a value on the command line is visible in the process list and the shell's history; use --file",
                );
            }
            return Ok(value.clone());
        }
        if let Some(file) = &self.file {
            let text = prompt::read_text(file)?;
            return Ok(match self.exact {
                true => text,
                // ssh refuses a key whose last newline is missing.
                false if text.contains("-----BEGIN ") => text,
                false => prompt::without_final_newline(text),
            });
        }
        if prompt::at_terminal() {
            return prompt::hidden(&format!("Value of {} (not shown)", self.key));
        }
        Err(CliError::Usage(
            "give a VALUE, or --file FILE (- for standard input)".to_owned(),
        ))
    }
}
