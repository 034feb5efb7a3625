//! Targets of notifications, secrets included. Each kind is one file: its words, its check and
//! its request. No kind sends a password in clear.

mod body;
mod email;
mod endpoint;
mod gotify;
mod ntfy;
mod ping;
mod webhook;

pub use body::TargetBody;
pub use email::{Email, Security};
pub use endpoint::{Endpoint, News, Post, TokenUse};

use super::address::HttpUrl;
use super::field::FieldError;
use body::secret;
use endpoint::KindInfo;
use std::str::FromStr;

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
    /// A dead man's switch.
    Ping,
}

impl Kind {
    /// Every value, in the order of menus.
    pub const ALL: [Self; 5] = [
        Self::Webhook,
        Self::Ntfy,
        Self::Gotify,
        Self::Email,
        Self::Ping,
    ];

    fn about(self) -> &'static KindInfo {
        match self {
            Self::Webhook => &webhook::ABOUT,
            Self::Ntfy => &ntfy::ABOUT,
            Self::Gotify => &gotify::ABOUT,
            Self::Email => &email::ABOUT,
            Self::Ping => &ping::ABOUT,
        }
    }

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        self.about().name
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        self.about().title
    }

    /// One line for the choice of a kind.
    pub fn summary(self) -> &'static str {
        self.about().summary
    }

    /// A URL as it may look.
    pub fn example(self) -> &'static str {
        self.about().example
    }

    /// The use that it has for a token.
    pub fn token(self) -> TokenUse {
        self.about().token
    }
}

impl FromStr for Kind {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == text).ok_or_else(|| {
            let problem =
                format!("{text:?} is not a kind; use webhook, ntfy, gotify, email or ping");
            FieldError::new("kind", problem)
        })
    }
}

/// A target, secrets included.
#[derive(Clone)]
pub enum Target {
    /// A kind with a URL.
    Http(Endpoint),
    /// A mail server.
    Email(Email),
}

impl TryFrom<&TargetBody> for Target {
    type Error = Vec<FieldError>;

    fn try_from(body: &TargetBody) -> Result<Self, Vec<FieldError>> {
        let kind: Kind = body.kind.parse().map_err(|e| vec![e])?;
        if kind == Kind::Email {
            return email::check(body).map(Self::Email);
        }
        let mut errors = Vec::new();
        let url = HttpUrl::new(&body.url).map_err(|e| errors.push(e)).ok();
        let token = secret("token", &body.token)
            .map_err(|e| errors.push(e))
            .unwrap_or_default();
        if let (TokenUse::Required(problem), None, true) = (kind.token(), &token, errors.is_empty())
        {
            errors.push(FieldError::new("token", problem));
        }
        errors.extend(url.as_ref().and_then(|url| (kind.about().check)(url).err()));
        match (url, errors.is_empty()) {
            (Some(url), true) => {
                let token = token.filter(|_| kind.token() != TokenUse::None);
                Ok(Self::Http(Endpoint::new(kind.about(), url, token)))
            }
            _ => Err(errors),
        }
    }
}

impl Target {
    /// The parts that may be shown.
    pub fn shown(&self) -> String {
        match self {
            Self::Http(target) => target.url.shown(),
            Self::Email(email) => email.shown(),
        }
    }

    /// Every secret in it, so that none gets into an error that is kept or shown.
    pub fn secrets(&self) -> Vec<&str> {
        let mut secrets = Vec::new();
        match self {
            Self::Http(target) => secrets.extend(target.secrets()),
            Self::Email(email) => {
                secrets.extend(email.login.iter().map(|(_, password)| password.as_str()));
            }
        }
        secrets.retain(|secret| secret.len() > 2);
        secrets
    }
}

#[cfg(test)]
mod tests;
