//! The ability of the database to be written, as the last write showed it.

use super::error::{Obstacle, StoreError};
use tokio::sync::watch;

/// The reason why the database cannot be written; none while it can.
#[derive(Debug, Clone)]
pub(super) struct WriteHealth(watch::Sender<Option<String>>);

impl WriteHealth {
    /// The state at the start.
    pub(super) fn new(problem: Option<String>) -> Self {
        Self(watch::Sender::new(problem))
    }

    /// Notes the result of a write. An error that is the caller's own says nothing about the database.
    pub(super) fn note<T>(&self, written: &Result<T, StoreError>) {
        let problem = match written {
            Ok(_) => None,
            Err(error) => match problem(error) {
                Some(problem) => Some(problem),
                None => return,
            },
        };
        self.0.send_if_modified(|known| {
            let changed = *known != problem;
            *known = problem;
            changed
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<String>> {
        self.0.subscribe()
    }
}

/// The sentence of a write-protected database.
pub(super) fn read_only() -> String {
    in_words(
        "its file or folder is read-only",
        "make it writable, and restart the server",
    )
}

fn problem(error: &StoreError) -> Option<String> {
    Some(match error.obstacle()? {
        Obstacle::Full => in_words("the disk is full", "free some space"),
        Obstacle::Locked => in_words("another program locks it", "end that program"),
        Obstacle::ReadOnly => read_only(),
        Obstacle::Fault => in_words(
            "the disk reports an error",
            "look at the kernel's log (dmesg)",
        ),
    })
}

fn in_words(why: &str, remedy: &str) -> String {
    format!(
        "The database cannot be written: {why}. Runs go on, and their states are written later; nothing else can be changed. Remedy: {remedy}"
    )
}
