//! The whole configuration as one readable TOML document: pools, variables, scripts, tasks.

use super::TaskBody;
use crate::domain::backup::backup_task;
use crate::domain::field::FieldError;
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
    /// Bytes of scripts that are no text, in base64, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts_base64: BTreeMap<String, String>,
    /// Python packages, such as `requests==2.31.0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<String>,
    /// Names of the tasks whose schedule is paused; their `auto` is the value before the pause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<String>,
    /// The tasks.
    #[serde(default)]
    pub tasks: Vec<TaskBody>,
    /// Tasks made from the template of a backup. An export has them as tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backups: Vec<BackupBody>,
}

/// A task of the four steps that back up a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupBody {
    /// The service.
    pub service: String,
    /// The task's name; `backup_SERVICE` when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// When it fires; every night at three when absent.
    #[serde(default)]
    pub cron: Option<String>,
    /// Its pool; `backup` when absent.
    #[serde(default)]
    pub pool: Option<String>,
}

impl BackupBody {
    /// The task.
    ///
    /// # Errors
    /// Refuses a name that is no name of a service.
    pub fn task(&self) -> Result<TaskBody, FieldError> {
        let mut task = backup_task(&self.service)?;
        task.name = self.name.clone().unwrap_or(task.name);
        task.cron = self.cron.clone().or(task.cron);
        task.pool = self.pool.clone().unwrap_or(task.pool);
        Ok(task)
    }
}

/// What happened, or would happen, to one thing of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// `pool`, `variable`, `script`, `task` or `library`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `added`, `changed`, `unchanged`, or `kept secret`: a variable that is secret here stays as it is. A library is
    /// `unchanged`, `added` by the run of `libraries_run`, or `not added`.
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
    /// The run that installs libraries, if any are missing.
    #[serde(default)]
    pub libraries_run: Option<i64>,
    /// The reason why no run installs the missing libraries.
    #[serde(default)]
    pub libraries_error: Option<String>,
}
