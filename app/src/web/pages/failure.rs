//! The first failure of a run: its step, its reason, and the last lines of its log, so that a phone shows them without
//! scrolling. The log holds no secrets: they are masked while it is captured.

use crate::blocking;
use crate::domain::lifecycle::{Run, RunId};
use crate::engine::{LogId, LogStore};
use crate::store::{self, Found};
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::log_part::{self, LogPlace};

/// Lines shown: as many as a phone shows below the head of the page.
const LINES: usize = 6;
/// Most characters shown of a line.
const WIDTH: usize = 200;

/// The first failure of a run.
pub(super) struct Failure {
    /// The number of the step, from 1.
    pub(super) number: usize,
    pub(super) step: String,
    pub(super) reason: Option<String>,
    /// The last lines of its log; empty where it printed nothing.
    pub(super) lines: String,
}

impl Failure {
    /// The first failure of a run, if it has one.
    pub(super) async fn of(run: &Run, logs: &LogStore) -> Result<Option<Self>, ApiError> {
        let Some(position) = run.first_bad() else {
            return Ok(None);
        };
        let Some(step) = run.steps.get(position) else {
            return Ok(None);
        };
        let id = LogId {
            run: run.id,
            position,
            attempt: step.attempt.max(1),
        };
        let logs = logs.clone();
        // A log that cannot be read must not hide the failure.
        let part = blocking::run(move || log_part::part(&logs, id, LogPlace::End)).await?;
        Ok(Some(Self {
            number: position + 1,
            step: step.step.name.to_string(),
            reason: step.reason.clone(),
            lines: part.map(|part| last_lines(&part.text)).unwrap_or_default(),
        }))
    }
}

/// The last lines of a log as plain text.
fn last_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(plain).collect();
    let mut last: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.trim().is_empty())
        .rev()
        .take(LINES)
        .collect();
    last.reverse();
    last.join("\n")
}

/// A line as a terminal would show it: without escape sequences (ECMA-48), and with only its last rewriting.
fn plain(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or_default();
    let mut text = String::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' if letters.peek() == Some(&'[') => {
                letters.next();
                for letter in letters.by_ref() {
                    if ('@'..='~').contains(&letter) {
                        break;
                    }
                }
            }
            '\t' => text.push(letter),
            letter if letter.is_control() => {}
            letter => text.push(letter),
        }
    }
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The place of a waiting run in the queue of its pool.
pub(super) struct PlaceInQueue {
    pub(super) pool: String,
    /// The runs that hold the slots: number and task.
    pub(super) holders: Vec<(i64, String)>,
    /// `first`, `second`, `3rd` and so on.
    pub(super) place: String,
}

impl PlaceInQueue {
    /// The place of a run, if it waits for a slot.
    pub(super) async fn of(run: &Run, app: &App) -> Result<Option<Self>, ApiError> {
        if run.state.is_final() {
            return Ok(None);
        }
        let pools = app.engine.pools().await;
        let found = pools.into_iter().find_map(|(pool, state)| {
            let place = state.waiting.iter().position(|id| *id == run.id)?;
            Some((pool, state.holders, place))
        });
        let Some((pool, holders, place)) = found else {
            return Ok(None);
        };
        let name = |id: RunId| app.store.read(move |tx| store::runs::get(tx, id).found());
        let mut named = Vec::new();
        for id in holders {
            if let Some(run) = name(id).await? {
                named.push((id.0, run.task_name.to_string()));
            }
        }
        Ok(Some(Self {
            pool: pool.to_string(),
            holders: named,
            place: ordinal(place + 1),
        }))
    }
}

fn ordinal(number: usize) -> String {
    match number {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("number {n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_plain_text() {
        let many: String = (0..40).map(|n| format!("line {n}\n")).collect();
        assert!(last_lines(&many).starts_with("line 34\n"));
        let text = "a\r\n10%\r20%\r\n\u{1b}[31mERROR\u{1b}[0m: no\u{7} space\n\n";
        assert_eq!(last_lines(text), "a\n20%\nERROR: no space");
        assert_eq!(plain(&"é".repeat(500)).chars().count(), WIDTH + 1);
    }
}
