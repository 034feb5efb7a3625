//! `lightflow settings`: what the page Settings → Server says.

use super::client::{Body, path, read};
use super::error::CliError;
use super::session::{Session, json, unknown, wants_json};
use crate::view::SettingsBody;
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    let setting = |id: &'static str, value: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(value).help(help)
    };
    Command::new("settings")
        .about("The server's settings: show, set")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("show")
                .about("Show what was set; the rest is as the environment or the program says")
                .arg(json()),
        )
        .subcommand(
            Command::new("set")
                .about("Change settings; those that are not named stay")
                .after_help(
                    "An empty value takes a setting back.\n\n\
                     Examples:\n  lightflow settings set --zone Europe/Paris --keep-runs 50\n  \
                     lightflow settings set --base-url ''",
                )
                .arg_required_else_help(true)
                .arg(setting(
                    "base-url",
                    "URL",
                    "Address under which people reach the server, for links",
                ))
                .arg(setting(
                    "zone",
                    "ZONE",
                    "Time zone of tasks that name none, and of times on pages, such as Europe/Paris",
                ))
                .arg(setting("keep-runs", "N", "Runs that a new task keeps"))
                .arg(setting(
                    "keep-days",
                    "N",
                    "Days for which a new task keeps them",
                ))
                .arg(setting(
                    "audit-days",
                    "N",
                    "Days for which audit entries are kept",
                ))
                .arg(json()),
        )
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("show", matches)) => show(session, matches).await,
        Some(("set", matches)) => set(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn show(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["settings"])).await?;
    tell(&mut session, matches, &body)
}

async fn set(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let present = session.client.fetch(&path(&["settings"])).await?;
    let mut settings: SettingsBody = read(&present)?;
    for (id, field) in [
        ("base-url", &mut settings.base_url),
        ("zone", &mut settings.zone),
    ] {
        if let Some(text) = matches.get_one::<String>(id) {
            *field = Some(text.clone()).filter(|text| !text.is_empty());
        }
    }
    for (id, field) in [
        ("keep-runs", &mut settings.keep_runs),
        ("keep-days", &mut settings.keep_days),
        ("audit-days", &mut settings.audit_days),
    ] {
        if let Some(text) = matches.get_one::<String>(id) {
            *field = number(id, text)?;
        }
    }
    let body = Body::json(&settings)?;
    let answer = session
        .client
        .send(Method::PUT, &path(&["settings"]), body)
        .await?;
    tell(&mut session, matches, &answer)
}

/// A number; none where the text is empty.
fn number(id: &str, text: &str) -> Result<Option<u32>, CliError> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text
        .parse()
        .map_err(|_| CliError::Usage(format!("--{id} takes a whole number, not {text:?}")))?;
    Ok(Some(number))
}

fn tell(session: &mut Session, matches: &ArgMatches, body: &[u8]) -> Result<ExitCode, CliError> {
    if wants_json(matches) {
        session.out.json(body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings: SettingsBody = read(body)?;
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    for (label, value) in [
        ("base-url", settings.base_url),
        ("zone", settings.zone),
        ("keep-runs", number(settings.keep_runs)),
        ("keep-days", number(settings.keep_days)),
        ("audit-days", number(settings.audit_days)),
    ] {
        let value = value.unwrap_or_else(|| "not set".to_owned());
        session.out.line(&format!("{label:11} {value}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
