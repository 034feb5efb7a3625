//! `lightflow notification`: who is told when something is wrong.

use super::client::{Body, path, read};
use super::error::CliError;
use super::prompt;
use super::session::{Session, confirm, json, name, text, unknown, wants_json, yes};
use super::table::Table;
use crate::domain::target::Kind;
use crate::view::{ChannelBody, ChannelList, ChannelView, DeliveryList, TargetBody};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    let channel = || name("name", "NAME", "The channel");
    Command::new("notification")
        .about("Notifications: list, add, set, test, delete channels; log")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List all channels").arg(json()))
        .subcommand(
            Command::new("add")
                .about("Add a channel")
                .after_help(
                    "URLs, tokens and passwords are sealed in the database and never shown again.\n\n\
                     Examples:\n  \
                     lightflow notification add phone --kind ntfy --url-file topic.txt\n  \
                     lightflow notification add nights --kind ping --url-file check.txt --task backup_immich\n  \
                     lightflow notification add mail --kind email --host smtp.example.org --user ann \\\n      \
                     --password-file pw.txt --from ann@example.org --to ann@example.org --on failure",
                )
                .arg(channel())
                .arg(kind().required(true))
                .args(options())
                .arg(json()),
        )
        .subcommand(
            Command::new("set")
                .about("Change a channel; what is not given stays as it is")
                .arg(channel())
                .arg(kind())
                .args(options())
                .arg(json()),
        )
        .subcommand(
            Command::new("test")
                .about("Send a test message to a channel now")
                .arg(channel()),
        )
        .subcommand(
            Command::new("delete")
                .about("Delete a channel and what waits for it")
                .arg(channel())
                .arg(yes()),
        )
        .subcommand(
            Command::new("log")
                .about("The newest notifications and what became of them")
                .arg(json()),
        )
}

fn kind() -> Arg {
    Arg::new("kind")
        .long("kind")
        .value_name("KIND")
        .help("What it is")
        .value_parser(PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))
}

fn options() -> Vec<Arg> {
    let file = |id, help| {
        Arg::new(id)
            .long(id)
            .value_name("FILE")
            .help(help)
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
    };
    let plain = |id, value, help| Arg::new(id).long(id).value_name(value).help(help);
    vec![
        file("url-file", "Take the URL from a file, - for standard input"),
        file("token-file", "Take the token from a file"),
        plain("host", "HOST", "Mail server"),
        plain("port", "PORT", "Its port [default: that of the protection]"),
        plain("security", "HOW", "Protection of the connection")
            .value_parser(PossibleValuesParser::new(["starttls", "tls", "none"])),
        plain("user", "USER", "User at the mail server"),
        file("password-file", "Take the user's password from a file"),
        plain("from", "ADDRESS", "Sender"),
        plain("to", "ADDRESSES", "Recipients, separated by commas"),
        plain("on", "OCCASIONS", "What it hears of [default: all]")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(PossibleValuesParser::new([
                "failure", "recovery", "overdue",
            ])),
        plain("task", "NAME", "Only this task, several times for several")
            .action(ArgAction::Append)
            .conflicts_with("all-tasks"),
        Arg::new("all-tasks")
            .long("all-tasks")
            .help("All tasks, which is the default")
            .action(ArgAction::SetTrue),
        plain("enabled", "BOOL", "Whether anything is sent").value_parser(value_parser!(bool)),
    ]
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("list", matches)) => list(session, matches).await,
        Some(("add", matches)) => add(session, matches).await,
        Some(("set", matches)) => set(session, matches).await,
        Some(("test", matches)) => test(session, matches).await,
        Some(("delete", matches)) => delete(session, matches).await,
        Some(("log", matches)) => log(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn list(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["channels"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ChannelList { channels } = read(&body)?;
    let mut table = Table::new(&["CHANNEL", "KIND", "WHERE", "ON", "TASKS"], 2);
    for channel in channels {
        let state = if channel.enabled { "" } else { " (off)" };
        table.row(vec![
            format!("{}{state}", channel.name),
            channel.target.kind.clone(),
            channel
                .shown
                .unwrap_or_else(|| "cannot be opened".to_owned()),
            if channel.target.kind == Kind::Ping.as_str() {
                "every run".to_owned()
            } else {
                channel.on.join(" ")
            },
            channel
                .tasks
                .map_or_else(|| "all".to_owned(), |tasks| tasks.join(" ")),
        ]);
    }
    if table.is_empty() {
        session
            .out
            .line("nobody is told; see lightflow notification add --help")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let empty = ChannelBody {
        name: text(matches, "name").to_owned(),
        target: TargetBody::default(),
        enabled: true,
        on: ["failure", "recovery", "overdue"]
            .map(str::to_owned)
            .to_vec(),
        tasks: None,
    };
    let body = with_options(empty, matches)?;
    let answer = session
        .client
        .send(Method::POST, &path(&["channels"]), Body::json(&body)?)
        .await?;
    session.done(matches, &answer, &format!("channel {} added", body.name))
}

async fn set(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let url = path(&["channels", text(matches, "name")]);
    let old: ChannelView = session.client.get(&url).await?;
    let old = ChannelBody {
        name: old.name,
        target: old.target,
        enabled: old.enabled,
        on: old.on,
        tasks: old.tasks,
    };
    let body = with_options(old, matches)?;
    let answer = session
        .client
        .send(Method::PUT, &url, Body::json(&body)?)
        .await?;
    session.done(matches, &answer, &format!("channel {} changed", body.name))
}

/// A channel with what was given in place of what it had.
fn with_options(mut body: ChannelBody, matches: &ArgMatches) -> Result<ChannelBody, CliError> {
    let target = &mut body.target;
    for (id, field) in [
        ("kind", &mut target.kind),
        ("host", &mut target.host),
        ("port", &mut target.port),
        ("security", &mut target.security),
        ("user", &mut target.user),
        ("from", &mut target.from),
        ("to", &mut target.to),
    ] {
        if let Some(value) = matches.get_one::<String>(id) {
            field.clone_from(value);
        }
    }
    for (id, field) in [
        ("url-file", &mut target.url),
        ("token-file", &mut target.token),
        ("password-file", &mut target.password),
    ] {
        if let Some(file) = matches.get_one::<PathBuf>(id) {
            *field = prompt::without_final_newline(prompt::read_text(file)?);
        }
    }
    if let Some(on) = matches.get_many::<String>("on") {
        body.on = on.cloned().collect();
    }
    if let Some(tasks) = matches.get_many::<String>("task") {
        body.tasks = Some(tasks.cloned().collect());
    }
    if matches.get_flag("all-tasks") {
        body.tasks = None;
    }
    if let Some(enabled) = matches.get_one::<bool>("enabled") {
        body.enabled = *enabled;
    }
    Ok(body)
}

async fn test(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    let url = path(&["channels", name, "test"]);
    let answer = session.client.send(Method::POST, &url, Body::Empty).await?;
    session.done(matches, &answer, &format!("{name} took the test message"))
}

async fn delete(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let name = text(matches, "name");
    confirm(matches, &format!("Delete the channel {name}"))?;
    let url = path(&["channels", name]);
    let answer = session
        .client
        .send(Method::DELETE, &url, Body::Empty)
        .await?;
    session.done(matches, &answer, &format!("channel {name} deleted"))
}

async fn log(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["deliveries"])).await?;
    if wants_json(matches) {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let DeliveryList { deliveries } = read(&body)?;
    let mut table = Table::new(&["WHEN", "CHANNEL", "TASK", "WHAT", "STATE"], 3);
    for delivery in deliveries {
        let state = match (delivery.state.as_str(), &delivery.next_attempt) {
            ("waiting", Some(next)) if delivery.attempts > 0 => {
                format!("tried again {}", session.here.age(next))
            }
            (state, _) => state.replace('_', " "),
        };
        table.row(vec![
            session.here.full(&delivery.at),
            delivery.channel,
            delivery.task,
            delivery.error.unwrap_or(delivery.text),
            state,
        ]);
    }
    if table.is_empty() {
        session.out.line("nothing was sent yet")?;
    } else {
        session.out.text(&table.render(session.out.width(), 0))?;
    }
    Ok(ExitCode::SUCCESS)
}
