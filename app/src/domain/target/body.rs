//! A target as text: the shape of the API, of the forms and of the sealed value.

use crate::domain::address::HttpUrl;
use crate::domain::field::FieldError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where notifications go. What is empty and secret (URL, token, password) stays as it is
/// when a channel is changed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetBody {
    /// `webhook`, `ntfy`, `gotify`, `email` or `ping`.
    pub kind: String,
    /// URL of the webhook, ntfy topic, Gotify server or check. Write-only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Bearer, access or application token. Write-only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// Mail server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Its port; by default that of the protection.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub port: String,
    /// `tls`, `starttls` (default) or `none`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub security: String,
    /// User at the mail server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Password at the mail server. Write-only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// Sender.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// Recipients, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
}

impl TargetBody {
    /// The same with the secrets of `old` where this has none. A secret is kept for the
    /// server it was typed for, or a change of the address would hand it to another one.
    #[must_use]
    pub fn or_secrets_of(mut self, old: &Self) -> Self {
        if self.kind != old.kind {
            return self;
        }
        let keep = |new: &mut String, old: &str| {
            if new.trim().is_empty() {
                *new = old.to_owned();
            }
        };
        keep(&mut self.url, &old.url);
        let server = |url: &str| HttpUrl::new(url).ok().map(|url| url.authority);
        if server(&self.url) == server(&old.url) {
            keep(&mut self.token, &old.token);
        }
        if self.host.trim() == old.host && self.user.trim() == old.user {
            keep(&mut self.password, &old.password);
        }
        self
    }

    /// The same without anything secret.
    #[must_use]
    pub fn shown(mut self) -> Self {
        self.url.clear();
        self.token.clear();
        self.password.clear();
        self
    }
}

/// A secret as a header or a login may hold it; none where it is empty.
pub(super) fn secret(field: &str, text: &str) -> Result<Option<String>, FieldError> {
    let text = text.trim();
    if text.chars().any(char::is_control) || text.len() > 1024 {
        return Err(FieldError::new(
            field,
            "must be one line of at most 1024 bytes",
        ));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}
