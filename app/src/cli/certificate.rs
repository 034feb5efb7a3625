//! `lightflow certificate`: what the server shows to browsers, and another one, such as from
//! the hook of an ACME client.

use super::client::{Body, path, read};
use super::error::CliError;
use super::prompt;
use super::session::{Session, confirm, json, unknown, wants_json, yes};
use crate::view::{CertificateBody, CertificateView};
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommands and their arguments.
pub(super) fn command() -> Command {
    let file = |id: &'static str, help: &'static str| {
        Arg::new(id)
            .long(id)
            .value_name("FILE")
            .help(help)
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
    };
    Command::new("certificate")
        .about("The server's certificate: show, set, renew")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("show")
                .about("Show the certificate that is served")
                .arg(json()),
        )
        .subcommand(
            Command::new("set")
                .about("Serve another certificate, from the next connection on")
                .after_help(
                    "Chain and key have to belong together and be valid now, or nothing changes.\n\n\
                     Example, as a hook of an ACME client:\n  \
                     lightflow certificate set --chain fullchain.pem --key privkey.pem",
                )
                .arg(file("chain", "The certificate and those that signed it, in PEM form"))
                .arg(file("key", "Its private key in PEM form, without a passphrase"))
                .arg(json()),
        )
        .subcommand(
            Command::new("renew")
                .about("Make a new self-signed certificate and serve it")
                .arg(yes())
                .arg(json()),
        )
}

/// Runs a subcommand.
pub(super) async fn run(session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    match matches.subcommand() {
        Some(("show", matches)) => show(session, matches).await,
        Some(("set", matches)) => set(session, matches).await,
        Some(("renew", matches)) => renew(session, matches).await,
        _ => Err(unknown()),
    }
}

async fn show(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["certificate"])).await?;
    tell(&mut session, matches, &body)
}

fn tell(session: &mut Session, matches: &ArgMatches, body: &[u8]) -> Result<ExitCode, CliError> {
    if wants_json(matches) {
        session.out.json(body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: CertificateView = read(body)?;
    let signed = match view.self_signed {
        true => "itself, made by this server".to_owned(),
        false => view.issuer,
    };
    let until = session.here.full(&view.valid_until);
    for (label, value) in [
        ("good for", view.names.join(", ")),
        ("signed by", signed),
        ("valid until", until),
        ("SHA-256", view.fingerprint),
    ] {
        session.out.line(&format!("{label:<12} {value}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn file(matches: &ArgMatches, id: &str) -> Result<String, CliError> {
    match matches.get_one::<PathBuf>(id) {
        Some(file) => prompt::read_text(file),
        None => Err(unknown()),
    }
}

async fn set(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    let body = Body::json(&CertificateBody {
        chain: file(matches, "chain")?,
        key: file(matches, "key")?,
    })?;
    let url = path(&["certificate"]);
    let answer = session.client.send(Method::PUT, &url, body).await?;
    tell(&mut session, matches, &answer)
}

async fn renew(mut session: Session, matches: &ArgMatches) -> Result<ExitCode, CliError> {
    confirm(
        matches,
        "Make a new self-signed certificate? Browsers warn once more",
    )?;
    let url = path(&["certificate", "renew"]);
    let answer = session.client.send(Method::POST, &url, Body::Empty).await?;
    tell(&mut session, matches, &answer)
}
