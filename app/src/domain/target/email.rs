//! E-mail through a mail server.

use super::body::{TargetBody, secret};
use super::endpoint::{KindInfo, TokenUse};
use crate::domain::address::{Mailbox, is_host};
use crate::domain::field::FieldError;

/// Most addresses one message goes to.
const MOST_RECIPIENTS: usize = 20;

pub(super) const ABOUT: KindInfo = KindInfo {
    name: "email",
    title: "E-mail",
    summary: "a mail through your mail provider",
    example: "",
    token: TokenUse::None,
    check: |_| Ok(()),
    post: None,
};

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (port 465).
    Tls,
    /// TLS after STARTTLS, or nothing is sent (port 587).
    StartTls,
    /// None: a relay on this host or in a network of one's own (port 25).
    None,
}

impl Security {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
            Self::None => "none",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

/// What is needed to send mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// User and password, where the server wants them.
    pub login: Option<(String, String)>,
    /// The sender.
    pub from: Mailbox,
    /// The recipients, at least one.
    pub to: Vec<Mailbox>,
}

pub(super) fn check(parts: &TargetBody) -> Result<Email, Vec<FieldError>> {
    let mut errors = Vec::new();
    let host = parts.host.trim().to_owned();
    if !is_host(&host) {
        errors.push(FieldError::new(
            "host",
            "is not a host name; write it like smtp.example.org",
        ));
    }
    let security = match parts.security.as_str() {
        "tls" => Security::Tls,
        "" | "starttls" => Security::StartTls,
        "none" => Security::None,
        other => {
            errors.push(FieldError::new(
                "security",
                format!("{other:?} is not known; use tls, starttls or none"),
            ));
            Security::StartTls
        }
    };
    let port = match parts.port.trim() {
        "" => security.port(),
        text => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .unwrap_or_else(|| {
                errors.push(FieldError::new(
                    "port",
                    format!("{text:?} is not a port; use 1 to 65535"),
                ));
                0
            }),
    };
    let user = secret("user", &parts.user)
        .map_err(|e| errors.push(e))
        .ok()
        .flatten();
    let password = secret("password", &parts.password)
        .map_err(|e| errors.push(e))
        .ok()
        .flatten();
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => {
            errors.push(FieldError::new("password", "is empty; the user needs one"));
            None
        }
        (None, Some(_)) => {
            errors.push(FieldError::new("user", "is empty; the password needs one"));
            None
        }
    };
    if security == Security::None && login.is_some() && !is_local(&host) {
        errors.push(FieldError::new(
            "security",
            "none would send the password in clear; use tls or starttls",
        ));
    }
    let from = Mailbox::new("from", &parts.from)
        .map_err(|e| errors.push(e))
        .ok();
    let to = recipients(&parts.to).map_err(|e| errors.push(e)).ok();
    match (from, to) {
        (Some(from), Some(to)) if errors.is_empty() => Ok(Email {
            host,
            port,
            security,
            login,
            from,
            to,
        }),
        _ => Err(errors),
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<core::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn recipients(text: &str) -> Result<Vec<Mailbox>, FieldError> {
    let all: Vec<Mailbox> = text
        .split([',', ';', ' ', '\n'])
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .map(|one| Mailbox::new("to", one))
        .collect::<Result<_, _>>()?;
    match all.len() {
        0 => Err(FieldError::new("to", "is empty; give at least one address")),
        1..=MOST_RECIPIENTS => Ok(all),
        _ => Err(FieldError::new(
            "to",
            format!("has more than {MOST_RECIPIENTS} addresses"),
        )),
    }
}

impl Email {
    /// The parts that may be shown.
    pub(super) fn shown(&self) -> String {
        let to: Vec<&str> = self.to.iter().map(Mailbox::as_str).collect();
        format!("{} through {}:{}", to.join(", "), self.host, self.port)
    }
}
