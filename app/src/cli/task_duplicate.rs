//! `lightflow task duplicate`: the same task for another service.

use super::client::path;
use super::error::CliError;
use super::session::{JsonOption, Session};
use crate::domain::duplicate::{copy, shared_argument, staggered};
use crate::domain::task::Task;
use crate::view::{TaskBody, TaskList, TaskView};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use hyper::Method;
use hyper::body::Bytes;

/// Make the same task for another service
#[derive(Debug, Args)]
#[command(
    after_help = "The word that all steps share, most likely the service, is replaced in the arguments\n\
        and in the name. The copy runs at a time of the day that no other task of its pool has.\n\n\
        Examples:\n  lightflow task duplicate backup_vaultwarden --by immich\n  \
        lightflow task duplicate backup_vaultwarden --by immich --cron '30 4 * * *'"
)]
pub(super) struct DuplicateTask {
    /// The task
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// The word in place of the replaced one
    #[arg(long, value_name = "WORD", value_parser = NonEmptyStringValueParser::new())]
    by: String,
    /// The word to replace [default: the one that all steps share]
    #[arg(long, value_name = "WORD", value_parser = NonEmptyStringValueParser::new())]
    replace: Option<String>,
    /// Name of the copy [default: the task's name with the word replaced]
    #[arg(long, value_name = "NAME")]
    named: Option<String>,
    /// When it runs; '' for on demand only [default: a free time after the task's]
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    cron: Option<String>,
    #[command(flatten)]
    pub(super) json: JsonOption,
}

impl DuplicateTask {
    /// Makes the copy; returns the answer of the server.
    pub(super) async fn send(self, session: &Session) -> Result<Bytes, CliError> {
        let view: TaskView = session.client.get(&path(&["tasks", &self.name])).await?;
        let task = view.task;
        let shared = || {
            let checked = Task::try_from(&task).ok()?;
            shared_argument(&checked)
        };
        let replace = self.replace.or_else(shared).ok_or_else(|| {
            CliError::Usage(format!(
                "the steps of {} share no word; name one with --replace",
                self.name
            ))
        })?;
        let named = self.named.unwrap_or_default();
        let mut body = copy(&task, &named, &replace, &self.by)
            .map_err(|error| CliError::Usage(error.to_string()))?;
        body.cron = match self.cron {
            Some(cron) => Some(cron).filter(|cron| !cron.is_empty()),
            None => free_time(session, &task).await?,
        };
        session.send(Method::POST, &["tasks"], &body).await
    }
}

/// A time of the day that no other task of the pool has.
async fn free_time(session: &Session, task: &TaskBody) -> Result<Option<String>, CliError> {
    let Some(cron) = &task.cron else {
        return Ok(None);
    };
    let TaskList { tasks, .. } = session.client.get(&path(&["tasks"])).await?;
    let taken: Vec<String> = tasks
        .into_iter()
        .filter(|other| other.task.pool == task.pool)
        .filter_map(|other| other.task.cron)
        .collect();
    Ok(Some(staggered(cron, &taken)))
}
