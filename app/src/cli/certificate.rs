//! `lightflow certificate`: the certificate that browsers see. An ACME client's hook can set it.

use super::client::{path, read};
use super::error::CliError;
use super::prompt;
use super::session::{JsonOption, Session, Yes};
use crate::view::{CertificateBody, CertificateView};
use clap::{Subcommand, ValueHint};
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;

/// The server's certificate: show, edit, renew
#[derive(Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Show the certificate that is served
    Show(JsonOption),
    /// Serve another certificate, from the next connection on
    #[command(
        alias = "set",
        after_help = "Chain and key have to belong together and be valid now, or nothing changes.\n\n\
            Example, as a hook of an ACME client:\n  \
            lightflow certificate edit --chain fullchain.pem --key privkey.pem"
    )]
    Edit {
        /// The certificate and those that signed it, in PEM form
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        chain: PathBuf,
        /// Its private key in PEM form, without a passphrase
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        key: PathBuf,
        #[command(flatten)]
        json: JsonOption,
    },
    /// Create a new self-signed certificate and serve it
    Renew {
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        json: JsonOption,
    },
}

impl CertificateCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let (json, body) = match self {
            Self::Show(json) => (json, session.client.fetch(&path(&["certificate"])).await?),
            Self::Edit { chain, key, json } => {
                let body = CertificateBody {
                    chain: prompt::read_text(&chain)?,
                    key: prompt::read_text(&key)?,
                };
                let answer = session.send(Method::PUT, &["certificate"], &body).await?;
                (json, answer)
            }
            Self::Renew { yes, json } => {
                yes.confirm("Create a new self-signed certificate? Browsers warn once more")?;
                let parts = ["certificate", "renew"];
                (json, session.ask(Method::POST, &parts).await?)
            }
        };
        print(&mut session, json, &body)
    }
}

fn print(session: &mut Session, json: JsonOption, body: &[u8]) -> Result<ExitCode, CliError> {
    if json.json {
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
