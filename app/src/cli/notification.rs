//! `lightflow notification`: the channels to which alerts go.

use super::client::path;
use super::error::CliError;
use super::moment::Here;
use super::prompt;
use super::session::{JsonOption, Session, Yes};
use super::table::Table;
use crate::domain::target::Kind;
use crate::view::{ChannelBody, ChannelList, ChannelView, DeliveryList};
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand, ValueHint};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// Notification channels: list, create, edit, test, delete; log
#[derive(Debug, Subcommand)]
pub(super) enum NotificationCommand {
    /// List all channels
    List(JsonOption),
    /// Create a channel
    #[command(
        alias = "add",
        mut_arg("kind", |kind| kind.required(true)),
        after_help = "URLs, tokens and passwords are sealed in the database and never shown again.\n\n\
            Examples:\n  \
            lightflow notification create phone --kind ntfy --url-file topic.txt\n  \
            lightflow notification create nights --kind ping --url-file check.txt --task backup_immich\n  \
            lightflow notification create mail --kind email --host smtp.example.org --user ann \\\n      \
            --password-file pw.txt --from ann@example.org --to ann@example.org --on failure"
    )]
    Create(ChannelOptions),
    /// Change a channel; omitted options keep their values
    #[command(alias = "set")]
    Edit(ChannelOptions),
    /// Send a test message to a channel now
    Test {
        /// The channel
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Delete a channel and the notifications that wait for it
    Delete {
        /// The channel
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
    /// The newest notifications and their results
    Log(JsonOption),
}

#[derive(Debug, Args)]
pub(super) struct ChannelOptions {
    /// The channel
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// Kind of the channel
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: Option<String>,
    /// Take the URL from a file, - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    url_file: Option<PathBuf>,
    /// Take the token from a file
    #[arg(long = "token-file", id = "token-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
    /// Mail server
    #[arg(long)]
    host: Option<String>,
    /// Its port [default: that of the protection]
    #[arg(long)]
    port: Option<String>,
    /// Protection of the connection
    #[arg(long, value_name = "HOW", value_parser = ["starttls", "tls", "none"])]
    security: Option<String>,
    /// User at the mail server
    #[arg(long)]
    user: Option<String>,
    /// Take the user's password from a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// Sender
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Recipients, separated by commas
    #[arg(long, value_name = "ADDRESSES")]
    to: Option<String>,
    /// Occasions of its alerts [default: all]
    #[arg(long, value_name = "OCCASIONS", value_delimiter = ',', value_parser = ["failure", "recovery", "overdue"])]
    on: Option<Vec<String>>,
    /// Only this task, several times for several
    #[arg(long, value_name = "NAME", conflicts_with = "all_tasks")]
    task: Option<Vec<String>>,
    /// Every task, which is the default
    #[arg(long)]
    all_tasks: bool,
    /// false sends nothing
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    #[command(flatten)]
    json: JsonOption,
}

impl NotificationCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => list(session, json).await,
            Self::Create(channel) => {
                let (name, json) = (channel.name.clone(), channel.json);
                let empty = ChannelBody {
                    name: name.clone(),
                    ..ChannelBody::new(String::new())
                };
                let body = channel.applied(empty)?;
                let answer = session.send(Method::POST, &["channels"], &body).await?;
                session.done(json, &answer, &format!("channel {name} added"))
            }
            Self::Edit(channel) => {
                let (name, json) = (channel.name.clone(), channel.json);
                let old: ChannelView = session.client.get(&path(&["channels", &name])).await?;
                let body = channel.applied(ChannelBody::from(old))?;
                let answer = session
                    .send(Method::PUT, &["channels", &name], &body)
                    .await?;
                session.done(json, &answer, &format!("channel {name} changed"))
            }
            Self::Test { name } => {
                session
                    .ask(Method::POST, &["channels", &name, "test"])
                    .await?;
                session.out.line(&format!("{name} took the test message"))?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Delete { name, yes } => {
                let thing = format!("channel {name}");
                session.delete(yes, &["channels", &name], &thing).await
            }
            Self::Log(json) => log(session, json).await,
        }
    }
}

async fn list(mut session: Session, json: JsonOption) -> Result<ExitCode, CliError> {
    let table = |_: &Here, ChannelList { channels }| {
        let mut table = Table::new(&["CHANNEL", "KIND", "WHERE", "ON", "TASKS"], 2);
        for channel in channels {
            let state = if channel.enabled { "" } else { " (off)" };
            let shown = channel.shown;
            let on = match channel.target.kind == Kind::Ping.as_str() {
                true => "every run".to_owned(),
                false => channel.on.join(" "),
            };
            let tasks = channel.tasks.map(|tasks| tasks.join(" "));
            table.row(vec![
                format!("{}{state}", channel.name),
                channel.target.kind,
                shown.unwrap_or_else(|| "cannot be opened".to_owned()),
                on,
                tasks.unwrap_or_else(|| "all".to_owned()),
            ]);
        }
        table
    };
    let none = "no notification channels; see lightflow notification create --help";
    session.list(json, &path(&["channels"]), none, table).await
}

impl ChannelOptions {
    /// A channel with the options in place of its values.
    fn applied(self, mut body: ChannelBody) -> Result<ChannelBody, CliError> {
        let target = &mut body.target;
        for (typed, field) in [
            (self.kind, &mut target.kind),
            (self.host, &mut target.host),
            (self.port, &mut target.port),
            (self.security, &mut target.security),
            (self.user, &mut target.user),
            (self.from, &mut target.from),
            (self.to, &mut target.to),
        ] {
            if let Some(value) = typed {
                *field = value;
            }
        }
        for (typed, field) in [
            (self.url_file, &mut target.url),
            (self.token_file, &mut target.token),
            (self.password_file, &mut target.password),
        ] {
            if let Some(file) = typed {
                *field = prompt::without_final_newline(prompt::read_text(&file)?);
            }
        }
        if let Some(on) = self.on {
            body.on = on;
        }
        body.tasks = match (self.all_tasks, self.task) {
            (true, _) => None,
            (false, Some(tasks)) => Some(tasks),
            (false, None) => body.tasks,
        };
        body.enabled = self.enabled.unwrap_or(body.enabled);
        Ok(body)
    }
}

async fn log(mut session: Session, json: JsonOption) -> Result<ExitCode, CliError> {
    let table = |here: &Here, DeliveryList { deliveries }| {
        let mut table = Table::new(&["WHEN", "CHANNEL", "TASK", "WHAT", "STATE"], 3);
        for delivery in deliveries {
            let state = match (delivery.state.as_str(), &delivery.next_attempt) {
                ("waiting", Some(next)) if delivery.attempts > 0 => {
                    format!("tried again {}", here.age(next))
                }
                (state, _) => state.replace('_', " "),
            };
            table.row(vec![
                here.full(&delivery.at),
                delivery.channel,
                delivery.task,
                delivery.error.unwrap_or(delivery.text),
                state,
            ]);
        }
        table
    };
    let url = path(&["deliveries"]);
    session
        .list(json, &url, "nothing was sent yet", table)
        .await
}
