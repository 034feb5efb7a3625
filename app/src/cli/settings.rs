//! `lightflow settings`: the settings of the server.

use super::client::{path, read};
use super::error::CliError;
use super::session::{JsonOption, Session};
use crate::view::SettingsBody;
use clap::{Args, Subcommand};
use hyper::Method;
use std::process::ExitCode;

/// The server's settings: show, edit
#[derive(Debug, Subcommand)]
pub(super) enum SettingsCommand {
    /// Show the settings; a setting that is not set has the default of the environment or the program
    Show(JsonOption),
    /// Change settings; omitted ones keep their values
    #[command(
        alias = "set",
        arg_required_else_help = true,
        after_help = "An empty value takes a setting back.\n\n\
            Examples:\n  lightflow settings edit --tz Europe/Paris --keep-runs 50\n  \
            lightflow settings edit --base-url ''"
    )]
    Edit(EditSettings),
}

#[derive(Debug, Args)]
pub(super) struct EditSettings {
    /// The address you open in a browser, for links
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Time zone of tasks without their own, and of times on pages, for example Europe/Paris
    #[arg(long, alias = "zone", value_name = "ZONE")]
    tz: Option<String>,
    /// Runs that a new task keeps
    #[arg(long, value_name = "N")]
    keep_runs: Option<String>,
    /// Days for which a new task keeps them
    #[arg(long, value_name = "N")]
    keep_days: Option<String>,
    /// Days for which audit entries are kept
    #[arg(long, value_name = "N")]
    audit_days: Option<String>,
    #[command(flatten)]
    json: JsonOption,
}

impl SettingsCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let present = session.client.fetch(&path(&["settings"])).await?;
        let edit = match self {
            Self::Show(json) => return print(&mut session, json, &present),
            Self::Edit(edit) => edit,
        };
        let mut settings: SettingsBody = read(&present)?;
        for (typed, field) in [
            (edit.base_url, &mut settings.base_url),
            (edit.tz, &mut settings.zone),
        ] {
            if let Some(text) = typed {
                *field = Some(text).filter(|text| !text.is_empty());
            }
        }
        for (option, typed, field) in [
            ("keep-runs", edit.keep_runs, &mut settings.keep_runs),
            ("keep-days", edit.keep_days, &mut settings.keep_days),
            ("audit-days", edit.audit_days, &mut settings.audit_days),
        ] {
            if let Some(text) = typed {
                *field = number(option, &text)?;
            }
        }
        let answer = session.send(Method::PUT, &["settings"], &settings).await?;
        print(&mut session, edit.json, &answer)
    }
}

/// A number; none where the text is empty.
fn number(option: &str, text: &str) -> Result<Option<u32>, CliError> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text
        .parse()
        .map_err(|_| CliError::Usage(format!("--{option} takes a whole number, not {text:?}")))?;
    Ok(Some(number))
}

fn print(session: &mut Session, json: JsonOption, body: &[u8]) -> Result<ExitCode, CliError> {
    if json.json {
        session.out.json(body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings: SettingsBody = read(body)?;
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    for (label, value) in [
        ("base-url", settings.base_url),
        ("tz", settings.zone),
        ("keep-runs", number(settings.keep_runs)),
        ("keep-days", number(settings.keep_days)),
        ("audit-days", number(settings.audit_days)),
    ] {
        let value = value.unwrap_or_else(|| "not set".to_owned());
        session.out.line(&format!("{label:11} {value}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
