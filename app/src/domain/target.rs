//! Where notifications go, secrets included: each kind of target with what it needs, and
//! nothing that would send a password in clear.

use super::address::{HttpUrl, Mailbox, is_host};
use super::field::FieldError;
use std::str::FromStr;

/// Most addresses one message goes to.
const MOST_RECIPIENTS: usize = 20;

/// The kinds of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A JSON document is posted to a URL.
    Webhook,
    /// A topic of an ntfy server.
    Ntfy,
    /// A Gotify server.
    Gotify,
    /// A mail server.
    Email,
    /// A dead man's switch: it is told of every good run, and raises the alarm itself when
    /// it hears nothing.
    Ping,
}

impl Kind {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 5] = [
        Self::Webhook,
        Self::Ntfy,
        Self::Gotify,
        Self::Email,
        Self::Ping,
    ];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Ntfy => "ntfy",
            Self::Gotify => "gotify",
            Self::Email => "email",
            Self::Ping => "ping",
        }
    }

    /// The name that people know.
    pub fn title(self) -> &'static str {
        match self {
            Self::Webhook => "Webhook",
            Self::Ntfy => "ntfy",
            Self::Gotify => "Gotify",
            Self::Email => "E-mail",
            Self::Ping => "Dead-man ping",
        }
    }
}

impl FromStr for Kind {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                FieldError::new(
                    "kind",
                    format!("{text:?} is not a kind; use webhook, ntfy, gotify, email or ping"),
                )
            })
    }
}

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

/// Where notifications go, secrets included.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// See [`Kind::Webhook`].
    Webhook {
        /// Where to post.
        url: HttpUrl,
        /// Sent as a bearer token.
        token: Option<String>,
    },
    /// See [`Kind::Ntfy`].
    Ntfy {
        /// The topic's URL.
        url: HttpUrl,
        /// Access token.
        token: Option<String>,
    },
    /// See [`Kind::Gotify`].
    Gotify {
        /// The server's URL.
        url: HttpUrl,
        /// Application token.
        token: String,
    },
    /// See [`Kind::Email`].
    Email(Email),
    /// See [`Kind::Ping`].
    Ping {
        /// The check's URL.
        url: HttpUrl,
    },
}

/// The parts of a [`Target`] as they were typed; empty means absent.
#[derive(Clone, Default)]
pub struct TargetParts {
    /// One of [`Kind`].
    pub kind: String,
    /// URL of webhook, topic, server or check.
    pub url: String,
    /// Bearer, access or application token.
    pub token: String,
    /// Mail server.
    pub host: String,
    /// Its port.
    pub port: String,
    /// One of [`Security`].
    pub security: String,
    /// User at the mail server.
    pub user: String,
    /// Password at the mail server.
    pub password: String,
    /// Sender.
    pub from: String,
    /// Recipients, separated by commas.
    pub to: String,
}

impl TryFrom<&TargetParts> for Target {
    type Error = Vec<FieldError>;

    fn try_from(parts: &TargetParts) -> Result<Self, Vec<FieldError>> {
        let kind: Kind = parts.kind.parse().map_err(|e| vec![e])?;
        if kind == Kind::Email {
            return email(parts).map(Self::Email);
        }
        let mut errors = Vec::new();
        let url = HttpUrl::new(&parts.url).map_err(|e| errors.push(e)).ok();
        let token = secret("token", &parts.token)
            .map_err(|e| errors.push(e))
            .unwrap_or_default();
        if kind == Kind::Gotify && token.is_none() && errors.is_empty() {
            errors.push(FieldError::new(
                "token",
                "is empty; Gotify shows an application token for each application",
            ));
        }
        let topic = |url: &HttpUrl| !url.path.trim_matches('/').is_empty();
        if kind == Kind::Ntfy && url.as_ref().is_some_and(|url| !topic(url)) {
            errors.push(FieldError::new(
                "url",
                "names no topic; write it like https://ntfy.sh/my-topic",
            ));
        }
        match (url, errors.is_empty()) {
            (Some(url), true) => Ok(match kind {
                Kind::Webhook => Self::Webhook { url, token },
                Kind::Ntfy => Self::Ntfy { url, token },
                Kind::Gotify => Self::Gotify {
                    url,
                    token: token.unwrap_or_default(),
                },
                Kind::Ping | Kind::Email => Self::Ping { url },
            }),
            _ => Err(errors),
        }
    }
}

fn email(parts: &TargetParts) -> Result<Email, Vec<FieldError>> {
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

/// A secret as a header or a login may hold it; none where it is empty.
fn secret(field: &str, text: &str) -> Result<Option<String>, FieldError> {
    let text = text.trim();
    if text.chars().any(char::is_control) || text.len() > 1024 {
        return Err(FieldError::new(
            field,
            "must be one line of at most 1024 bytes",
        ));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

impl Target {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Webhook { .. } => Kind::Webhook,
            Self::Ntfy { .. } => Kind::Ntfy,
            Self::Gotify { .. } => Kind::Gotify,
            Self::Email(_) => Kind::Email,
            Self::Ping { .. } => Kind::Ping,
        }
    }

    /// What may be shown of it.
    pub fn shown(&self) -> String {
        match self {
            Self::Webhook { url, .. }
            | Self::Ntfy { url, .. }
            | Self::Gotify { url, .. }
            | Self::Ping { url } => url.shown(),
            Self::Email(email) => {
                let to: Vec<&str> = email.to.iter().map(Mailbox::as_str).collect();
                format!("{} through {}:{}", to.join(", "), email.host, email.port)
            }
        }
    }

    /// Every secret in it, so that none gets into an error that is kept or shown.
    pub fn secrets(&self) -> Vec<&str> {
        let mut secrets = Vec::new();
        let (url, token) = match self {
            Self::Webhook { url, token } | Self::Ntfy { url, token } => {
                (Some(url), token.as_deref())
            }
            Self::Gotify { url, token } => (Some(url), Some(token.as_str())),
            Self::Ping { url } => (Some(url), None),
            Self::Email(email) => (None, email.login.as_ref().map(|(_, p)| p.as_str())),
        };
        if let Some(url) = url {
            secrets.extend([url.reveal(), url.path.as_str()]);
            secrets.extend(url.login.iter().map(|(_, password)| password.as_str()));
        }
        secrets.extend(token);
        secrets.retain(|secret| secret.len() > 2);
        secrets
    }
}

#[cfg(test)]
mod tests;
