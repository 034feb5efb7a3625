//! Problems of the server itself that a person has to solve: told on each page, by /readyz, and in the log.
//!
//! Invariant: a problem stays until its cause is gone; it is never told once and forgotten.

use crate::domain::lifecycle::RunId;
use crate::notify;
use crate::secrets::SecretKey;
use crate::store::{self, Content, Store, StoreError};
use std::sync::Mutex;

/// The problems found so far, by their kind.
#[derive(Debug, Default)]
pub struct Problems(Mutex<FoundProblems>);

#[derive(Debug, Clone, Default)]
struct FoundProblems {
    /// Damage, or a database that is not the one that belongs here.
    database: Option<String>,
    /// Secrets that the key does not open.
    secrets: Option<String>,
    /// The reason why the database cannot be written.
    writes: Option<String>,
}

impl Problems {
    /// The problems in words.
    pub fn list(&self) -> Vec<String> {
        let found = self.found();
        let found = [found.writes, found.database, found.secrets];
        let found = found.into_iter().flatten();
        found.chain(store::set_aside::reports()).collect()
    }

    /// Notes a problem of the database.
    pub fn database(&self, problem: String) {
        tracing::error!("{problem}");
        self.change(|found| found.database = Some(problem));
    }

    /// Notes why the database cannot be written; none when it can again.
    pub fn writes(&self, problem: Option<String>) {
        self.change(|found| found.writes = problem);
    }

    /// Tries to open all secrets, and notes those that cannot be opened.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn look_at_secrets(&self, store: &Store, key: &SecretKey) -> Result<(), StoreError> {
        let (variables, channels) = store
            .read(|tx| Ok((store::variables::list(tx)?, store::channels::list(tx)?)))
            .await?;
        let variables = variables
            .iter()
            .filter_map(|variable| match &variable.content {
                Content::Plain(_) => None,
                Content::Sealed(sealed) => {
                    let name = variable.key.as_str();
                    key.open(name, sealed).is_err().then(|| name.to_owned())
                }
            });
        let channels = channels
            .iter()
            .filter(|channel| notify::open_parts(key, channel).is_err())
            .map(|channel| format!("the notification channel {}", channel.channel.name));
        let closed: Vec<String> = variables.chain(channels).collect();
        let problem = (!closed.is_empty()).then(|| in_words(&closed));
        if problem != self.found().secrets {
            if let Some(problem) = &problem {
                tracing::error!("{problem}");
            }
            self.change(|found| found.secrets = problem);
        }
        Ok(())
    }

    fn found(&self) -> FoundProblems {
        match self.0.lock() {
            Ok(found) => found.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut FoundProblems)) {
        match self.0.lock() {
            Ok(mut found) => change(&mut found),
            Err(poisoned) => change(&mut poisoned.into_inner()),
        }
    }
}

/// Most names in one sentence.
const NAMED: usize = 5;

fn in_words(closed: &[String]) -> String {
    let more = match closed.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = closed.iter().take(NAMED).map(String::as_str);
    format!(
        "secret.key does not open {} secret(s): {}{more}. Restore the secret.key that belongs to this database, or set them again",
        closed.len(),
        names.collect::<Vec<_>>().join(", "),
    )
}

/// The problem of an empty database beside the traces of a used one.
pub fn lost_database(last_run: RunId, traces: &[&str]) -> Option<String> {
    (last_run.0 == 0 && !traces.is_empty()).then(|| {
        format!(
            "the database is empty, but the data directory has {}: the database was lost. Stop the server and restore a snapshot, such as backup/lightflow.db, in the place of lightflow.db",
            traces.join(" and ")
        )
    })
}
