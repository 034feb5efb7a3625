//! Users, sessions and API tokens on the wire.

use super::rfc3339;
use crate::domain::field::FieldError;
use crate::domain::names::{TaskName, TokenName};
use crate::store::{Account, Role, Scope, SessionInfo, TokenInfo};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A new user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Unique among users.
    pub name: String,
    /// At least 10 characters.
    pub password: String,
    /// `admin` or `viewer`.
    pub role: String,
}

/// What to change of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// `admin` or `viewer`.
    pub role: String,
}

/// A new password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    /// At least 10 characters.
    pub password: String,
}

/// A new password for oneself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The present password.
    pub current: String,
    /// The new one, at least 10 characters.
    pub password: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserView {
    /// Unique among users.
    pub name: String,
    /// `admin` or `viewer`.
    pub role: String,
    /// When the user was added, RFC 3339.
    pub created_at: String,
}

impl From<&Account> for UserView {
    fn from(account: &Account) -> Self {
        Self {
            name: account.name.to_string(),
            role: account.role.as_str().to_owned(),
            created_at: rfc3339(account.created_at),
        }
    }
}

/// All users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserList {
    /// By name.
    pub users: Vec<UserView>,
}

/// A session: somebody logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Its number.
    pub id: i64,
    /// Who logged in.
    pub user: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// When it was last used, RFC 3339, to five minutes.
    pub seen_at: String,
    /// When it ends by itself, RFC 3339.
    pub expires_at: String,
    /// From which address it was last used.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// Whether it is the session of this very request.
    pub current: bool,
}

impl SessionView {
    /// The view of a session, for whoever asks in the session numbered `own`.
    pub fn new(session: &SessionInfo, own: Option<i64>) -> Self {
        Self {
            id: session.id,
            user: session.user.to_string(),
            created_at: rfc3339(session.created_at),
            seen_at: rfc3339(session.seen_at),
            expires_at: rfc3339(session.expires_at),
            address: session.client.address.clone(),
            agent: session.client.agent.clone(),
            current: own == Some(session.id),
        }
    }
}

/// Sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The one used last first.
    pub sessions: Vec<SessionView>,
}

/// Days after which a token expires by default, on the page and on the command line.
pub const DEFAULT_TOKEN_DAYS: u32 = 365;

/// Longest life of a token that expires, in days.
const MOST_DAYS: u32 = 3650;

/// A new API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is called, unique.
    pub name: String,
    /// `viewer` may look, `operator` may also start and cancel runs, `admin` may do everything.
    pub role: String,
    /// Only these tasks, their runs and their logs; everything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<String>>,
    /// Days until it ends by itself; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
}

impl NewToken {
    /// The token that is asked for at the time `now`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, now: DateTime<Utc>) -> Result<TokenInfo, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut refuse = |error| errors.push(error);
        let name = TokenName::new(self.name.as_str()).map_err(&mut refuse);
        let role = self.role.parse::<Role>().map_err(&mut refuse);
        let scope = self.scope().map_err(&mut refuse);
        if role == Ok(Role::Admin) && matches!(scope, Ok(Scope::Tasks(_))) {
            refuse(FieldError::new(
                "tasks",
                "cannot limit an admin, who may change every task; use the role viewer or operator",
            ));
        }
        let days = self.expires_in_days;
        if days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
            refuse(FieldError::new(
                "expires_in_days",
                format!(
                    "must be from 1 to {MOST_DAYS}; leave it out for a token that does not expire"
                ),
            ));
        }
        match (name, role, scope) {
            (Ok(name), Ok(role), Ok(scope)) if errors.is_empty() => Ok(TokenInfo {
                name,
                role,
                scope,
                created_at: now,
                expires_at: days.map(|days| now + TimeDelta::days(i64::from(days))),
                used_at: None,
                used_from: String::new(),
            }),
            _ => Err(errors),
        }
    }

    fn scope(&self) -> Result<Scope, FieldError> {
        let Some(names) = &self.tasks else {
            return Ok(Scope::Everything);
        };
        if names.is_empty() {
            return Err(FieldError::new(
                "tasks",
                "names no task; name at least one, or leave it out for all",
            ));
        }
        let names = names.iter().map(|name| TaskName::new(name.as_str()));
        names
            .collect::<Result<_, _>>()
            .map(Scope::Tasks)
            .map_err(|error| FieldError::new("tasks", error.problem))
    }
}

/// An API token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenBody {
    /// What it is called.
    pub name: String,
    /// The token itself: shown this once and never again.
    pub token: String,
}

/// An API token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// What it is called.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// The tasks it is limited to; everything when absent.
    pub tasks: Option<Vec<String>>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it ends by itself, RFC 3339; never when absent.
    pub expires_at: Option<String>,
    /// When it was last used, RFC 3339, to five minutes.
    pub used_at: Option<String>,
    /// From which address it was last used.
    pub used_from: String,
}

impl From<&TokenInfo> for TokenView {
    fn from(token: &TokenInfo) -> Self {
        Self {
            name: token.name.to_string(),
            role: token.role.as_str().to_owned(),
            tasks: match &token.scope {
                Scope::Everything => None,
                Scope::Tasks(names) => Some(names.iter().map(ToString::to_string).collect()),
            },
            created_at: rfc3339(token.created_at),
            expires_at: token.expires_at.map(rfc3339),
            used_at: token.used_at.map(rfc3339),
            used_from: token.used_from.clone(),
        }
    }
}

/// All API tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// By name.
    pub tokens: Vec<TokenView>,
}
