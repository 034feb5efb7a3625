//! `lightflow user`: people who may log in.

use super::client::path;
use super::error::CliError;
use super::prompt;
use super::session::{JsonOption, Session, Yes};
use super::table::Table;
use crate::view::{NewUser, PasswordBody, UserList, UserPatch};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueHint};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

const NO_JSON: JsonOption = JsonOption { json: false };

/// Users: list, create, role, password, delete
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List all users
    List(JsonOption),
    /// Create a user who can log in
    #[command(
        alias = "add",
        after_help = "A terminal asks for the password, which has at least 10 characters.\n\n\
            Examples:\n  lightflow user create odile\n  \
            lightflow user create guest --role viewer --password-file guest.txt"
    )]
    Create {
        /// The user
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// admin may do everything, viewer may look
        #[arg(long, default_value = "admin", value_parser = ["admin", "viewer"])]
        role: String,
        #[command(flatten)]
        password: PasswordFile,
        #[command(flatten)]
        json: JsonOption,
    },
    /// Make a user an admin or a viewer
    Role {
        /// The user
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// admin may do everything, viewer may look
        #[arg(value_parser = ["admin", "viewer"])]
        role: String,
        #[command(flatten)]
        json: JsonOption,
    },
    /// Give a user another password
    Password {
        /// The user
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        password: PasswordFile,
    },
    /// Delete a user
    Delete {
        /// The user
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Debug, Args)]
pub(super) struct PasswordFile {
    /// Take the password from a file, - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
}

impl PasswordFile {
    fn read(&self) -> Result<String, CliError> {
        match &self.password_file {
            Some(file) => Ok(prompt::without_final_newline(prompt::read_text(file)?)),
            None if prompt::at_terminal() => prompt::new_secret("Password"),
            None => Err(CliError::Usage(
                "there is no terminal to ask for the password; use --password-file FILE (- for standard input)".to_owned(),
            )),
        }
    }
}

impl UserCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => list(session, json).await,
            Self::Create {
                name,
                role,
                password,
                json,
            } => {
                let user = NewUser {
                    name,
                    password: password.read()?,
                    role,
                };
                let answer = session.send(Method::POST, &["users"], &user).await?;
                let sentence = format!("{} {} added", user.role, user.name);
                session.done(json, &answer, &sentence)
            }
            Self::Role { name, role, json } => {
                let sentence = format!("{name} has the role {role}");
                let body = UserPatch { role };
                let answer = session
                    .send(Method::PATCH, &["users", &name], &body)
                    .await?;
                session.done(json, &answer, &sentence)
            }
            Self::Password { name, password } => {
                let body = PasswordBody {
                    password: password.read()?,
                };
                let parts = ["users", &name, "password"];
                let answer = session.send(Method::PUT, &parts, &body).await?;
                session.done(NO_JSON, &answer, &format!("{name} has a new password"))
            }
            Self::Delete { name, yes } => {
                let thing = format!("user {name}");
                session.delete(yes, &["users", &name], &thing).await
            }
        }
    }
}

async fn list(mut session: Session, json: JsonOption) -> Result<ExitCode, CliError> {
    let table = |here: &super::moment::Here, UserList { users }| {
        let mut table = Table::new(&["USER", "ROLE", "SINCE"], 0);
        for user in users {
            table.row(vec![user.name, user.role, here.full(&user.created_at)]);
        }
        table
    };
    let none = "no users; add one with lightflow user create NAME";
    session.list(json, &path(&["users"]), none, table).await
}
