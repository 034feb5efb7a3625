//! Logs on standard output: whole ones, and those that still grow.

use super::client::{path, query, read};
use super::error::CliError;
use super::run_text::result_line;
use super::session::Session;
use super::watch::{Patience, RunWatch, lost};
use crate::domain::lifecycle::StepState;
use crate::view::{LogChunk, LogGap, StepRunView};

/// The address of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogOf {
    /// The run's number.
    pub(super) run: i64,
    /// The step's place, from 0.
    pub(super) position: usize,
    /// The attempt, from 1.
    pub(super) attempt: u32,
}

impl LogOf {
    fn url(self, end: &[&str], more: &[(&str, String)]) -> String {
        let (run, position) = (self.run.to_string(), self.position.to_string());
        let mut parts = vec!["runs", &run, "steps", &position, "log"];
        parts.extend(end);
        let mut pairs = vec![("attempt", self.attempt.to_string())];
        pairs.extend(more.iter().cloned());
        query(&path(&parts), &pairs)
    }
}

/// Prints a log as far as it is there.
pub(super) async fn print(session: &mut Session, log: LogOf) -> Result<(), CliError> {
    let mut download = session.client.open(&log.url(&[], &[])).await?;
    while let Some(bytes) = download.next().await? {
        session.out.bytes(&bytes)?;
    }
    Ok(())
}

/// Prints a log as it grows, until its attempt is over.
pub(super) async fn follow(session: &mut Session, log: LogOf) -> Result<(), CliError> {
    let mut offset = 0;
    let mut patience = Patience::new();
    loop {
        let before = offset;
        match follow_once(session, log, &mut offset).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                if offset > before {
                    patience = Patience::new();
                }
                patience.pause(error).await?;
            }
        }
    }
}

async fn follow_once(session: &mut Session, log: LogOf, offset: &mut u64) -> Result<(), CliError> {
    let url = log.url(&["stream"], &[("offset", offset.to_string())]);
    let mut events = session.client.events(&url).await?;
    while let Some(event) = events.next().await? {
        let data = event.data.as_bytes();
        match event.name.as_str() {
            "chunk" => {
                let chunk: LogChunk = read(data)?;
                session.out.text(&chunk.text)?;
                *offset = chunk.next;
            }
            "gap" => {
                let LogGap { from, to } = read(data)?;
                let bytes = to.saturating_sub(from);
                session
                    .out
                    .line(&format!("[… {bytes} bytes were not kept …]"))?;
                *offset = to;
            }
            "end" => return Ok(()),
            "problem" => return Err(CliError::Refused(read(data)?)),
            _ => {}
        }
    }
    Err(lost())
}

/// Prints each step of a run as it comes: its name, its log as it grows, its result.
pub(super) async fn follow_run(
    session: &mut Session,
    watch: &mut RunWatch,
) -> Result<(), CliError> {
    let run = watch.run().id;
    for position in 0..watch.run().steps.len() {
        let mut attempt = 1;
        loop {
            let view = watch
                .until(|run| {
                    run.finished
                        || run
                            .steps
                            .get(position)
                            .is_none_or(|step| step.attempt >= attempt || is_final(&step.state))
                })
                .await?;
            let Some(step) = view.steps.get(position).cloned() else {
                break;
            };
            if step.attempt < attempt {
                session.out.line(&result_line(&session.out, &step))?;
                break;
            }
            session.out.line(&head(&step, attempt))?;
            let log = LogOf {
                run,
                position,
                attempt,
            };
            follow(session, log).await?;
            attempt += 1;
        }
    }
    watch.until(|run| run.finished).await?;
    Ok(())
}

/// The line above a log.
pub(super) fn head(step: &StepRunView, attempt: u32) -> String {
    let name = &step.step.name;
    if attempt > 1 {
        format!("==> {name}, attempt {attempt} of {}", step.step.retries + 1)
    } else {
        format!("==> {name}")
    }
}

/// Reports if a state is final.
pub(super) fn is_final(state: &str) -> bool {
    use StepState::{Pending, Queued, Retrying, Running};
    ![Pending, Queued, Retrying, Running]
        .iter()
        .any(|going_on| going_on.as_str() == state)
}
