//! Pools, variables and scripts on the wire.

use super::rfc3339;
use crate::domain::pool::Pool;
use crate::store::{Content, PoolUse, StoredVariable};
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

impl From<&Pool> for PoolBody {
    fn from(pool: &Pool) -> Self {
        Self {
            name: pool.name.to_string(),
            slots: pool.slots.get(),
        }
    }
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

/// A Python package that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LibraryView {
    /// Its name, as it writes itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is, in a sentence of its own.
    pub summary: String,
}

/// All Python packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LibraryList {
    /// By name.
    pub libraries: Vec<LibraryView>,
}

/// What to install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallBody {
    /// Packages, such as `requests` or `paho-mqtt>=2,<3`; no options, paths or addresses.
    pub packages: Vec<String>,
}

/// All scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScriptList {
    /// By name.
    pub scripts: Vec<ScriptView>,
    /// Files in the folder that are no scripts, for admins: a step or a person put them there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ScriptView>,
}
