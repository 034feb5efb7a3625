//! The whole configuration as one readable TOML document: pools, variables, scripts, tasks.

use super::TaskBody;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An export. A secret variable appears by name only; importing it leaves the value that
/// is there, or reports that one is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Slots by pool.
    #[serde(default)]
    pub pools: BTreeMap<String, u32>,
    /// Values of variables that are not secret, by key.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Keys of secret variables.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Texts of scripts by file name.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// The tasks.
    #[serde(default)]
    pub tasks: Vec<TaskBody>,
}

/// What happened, or would happen, to one thing of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// `pool`, `variable`, `script` or `task`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `added`, `changed` or `unchanged`.
    pub change: String,
}

/// The result of an import. A document with anything wrong in it changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Whether it was only tried.
    pub dry_run: bool,
    /// Everything in the document.
    pub items: Vec<Imported>,
    /// Secret variables that the document names and that have no value yet.
    pub missing_secrets: Vec<String>,
}
