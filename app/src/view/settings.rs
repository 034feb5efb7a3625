//! Pools, variables, scripts, users and tokens on the wire.

use super::rfc3339;
use crate::store::{Account, Content, PoolUse, StoredVariable, TokenInfo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A pool as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolBody {
    /// Unique among pools.
    pub name: String,
    /// Steps that may run at once.
    pub slots: u32,
}

/// A pool as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolView {
    /// Unique among pools.
    pub name: String,
    /// Steps that may run at once.
    pub slots: u32,
    /// Tasks that name it.
    pub tasks: u32,
    /// Runs whose current step holds a slot.
    pub running: Vec<i64>,
    /// Runs whose current step waits, first come first.
    pub waiting: Vec<i64>,
}

impl PoolView {
    /// The view of a pool and of who is in it.
    pub fn new(stored: &PoolUse, running: Vec<i64>, waiting: Vec<i64>) -> Self {
        Self {
            name: stored.pool.name.to_string(),
            slots: stored.pool.slots.get(),
            tasks: stored.tasks,
            running,
            waiting,
        }
    }
}

/// All pools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolList {
    /// By name.
    pub pools: Vec<PoolView>,
}

/// A variable as it is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariableBody {
    /// The value; may have several lines.
    pub value: String,
    /// Secret values are write-only, sealed at rest and masked in logs.
    #[serde(default)]
    pub secret: bool,
}

/// A variable as it is shown: a secret one has no value here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VariableView {
    /// Name in the environment.
    pub key: String,
    /// The value, unless it is secret.
    pub value: Option<String>,
    /// Whether it is secret.
    pub secret: bool,
    /// When it was last set, RFC 3339.
    pub updated_at: String,
}

impl From<&StoredVariable> for VariableView {
    fn from(stored: &StoredVariable) -> Self {
        let (value, secret) = match &stored.content {
            Content::Plain(value) => (Some(value.clone()), false),
            Content::Sealed(_) => (None, true),
        };
        Self {
            key: stored.key.to_string(),
            value,
            secret,
            updated_at: rfc3339(stored.updated_at),
        }
    }
}

/// All variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VariableList {
    /// By key.
    pub variables: Vec<VariableView>,
}

/// A script as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScriptView {
    /// File name in the scripts folder.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written, RFC 3339.
    pub modified_at: String,
}

/// How to run a script once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptRunBody {
    /// What the script gets.
    #[serde(default)]
    pub args: super::Args,
}

/// All scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScriptList {
    /// By name.
    pub scripts: Vec<ScriptView>,
}

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

/// A new password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    /// At least 10 characters.
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

/// A new API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is called, unique.
    pub name: String,
    /// `admin` or `viewer`.
    pub role: String,
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
    /// `admin` or `viewer`.
    pub role: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

impl From<&TokenInfo> for TokenView {
    fn from(token: &TokenInfo) -> Self {
        Self {
            name: token.name.to_string(),
            role: token.role.as_str().to_owned(),
            created_at: rfc3339(token.created_at),
        }
    }
}

/// All API tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// By name.
    pub tokens: Vec<TokenView>,
}
