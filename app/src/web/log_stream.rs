//! A step's log as a stream of pieces that follows it while it grows.

use super::App;
use super::error::ApiError;
use super::log_text::times;
use crate::blocking;
use crate::domain::lifecycle::{Run, RunId};
use crate::engine::{Change, LogId, Piece};
use crate::store;
use crate::view::TimeMark;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// Most bytes in one piece.
const PIECE: usize = 64 * 1024;

/// The next part of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogPiece {
    /// Bytes dropped because the log passed its limit.
    Gap { from: u64, to: u64 },
    /// Bytes of the log.
    Bytes(Piece, Vec<TimeMark>),
    /// The attempt is over and everything was sent.
    End { length: u64 },
}

/// The position of one reader in one log.
struct Tail {
    app: Arc<App>,
    id: LogId,
    offset: u64,
    changes: broadcast::Receiver<Change>,
    pending: Option<LogPiece>,
    ended: bool,
}

/// Finds the log of an attempt of a step; without a number, of the latest attempt.
pub(super) async fn find(
    app: &App,
    run: i64,
    position: usize,
    attempt: Option<u32>,
) -> Result<LogId, ApiError> {
    let id = RunId(run);
    let run = app.store.read(move |tx| store::runs::get(tx, id)).await?;
    let Some(step) = run.steps.get(position) else {
        return Err(ApiError::NotFound(format!(
            "step {position} in run {}",
            id.0
        )));
    };
    let attempt = attempt.unwrap_or(step.attempt.max(1));
    if attempt == 0 || attempt > step.attempt.max(1) {
        return Err(ApiError::NotFound(format!(
            "attempt {attempt} of that step"
        )));
    }
    Ok(LogId {
        run: id,
        position,
        attempt,
    })
}

/// The log from `offset` on, to the end of the attempt.
pub(super) fn follow(
    app: Arc<App>,
    id: LogId,
    offset: u64,
) -> impl Stream<Item = Result<LogPiece, ApiError>> + Send + 'static {
    // Subscribed before anything is read, so that no change falls in between.
    let changes = app.engine.feed().subscribe();
    let tail = Tail {
        app,
        id,
        offset,
        changes,
        pending: None,
        ended: false,
    };
    unfold(tail, |mut tail| async move {
        if tail.ended {
            return None;
        }
        let part = tail.next().await;
        tail.ended = !matches!(part, Ok(LogPiece::Gap { .. } | LogPiece::Bytes(..)));
        Some((part, tail))
    })
}

impl Tail {
    async fn next(&mut self) -> Result<LogPiece, ApiError> {
        if let Some(part) = self.pending.take() {
            return Ok(part);
        }
        loop {
            // Asked before reading: a later write wakes us up.
            let growing = self.app.engine.feed().log_length(self.id);
            let over = growing.is_none() && self.attempt_is_over().await?;
            let (piece, times) = self.read().await?;
            if !piece.bytes.is_empty() {
                return Ok(self.take(piece, times));
            }
            if over {
                return Ok(LogPiece::End {
                    length: self.offset,
                });
            }
            match growing {
                Some(length) => self.wait_longer(length).await,
                None => self.wait_for_run().await,
            }
        }
    }

    fn take(&mut self, piece: Piece, times: Vec<TimeMark>) -> LogPiece {
        let from = self.offset;
        self.offset = piece.offset + piece.bytes.len() as u64;
        if piece.offset > from {
            let to = piece.offset;
            self.pending = Some(LogPiece::Bytes(piece, times));
            return LogPiece::Gap { from, to };
        }
        LogPiece::Bytes(piece, times)
    }

    async fn read(&self) -> Result<(Piece, Vec<TimeMark>), ApiError> {
        let (logs, id, offset) = (self.app.logs.clone(), self.id, self.offset);
        let read = move || {
            let piece = logs.read(id, offset, PIECE)?;
            let end = piece.offset + piece.bytes.len() as u64;
            let times = times(&logs, id, piece.offset, end)?;
            Ok::<_, std::io::Error>((piece, times))
        };
        Ok(blocking::run(read).await??)
    }

    async fn attempt_is_over(&self) -> Result<bool, ApiError> {
        let id = self.id.run;
        let run = self
            .app
            .store
            .read(move |tx| store::runs::get(tx, id))
            .await?;
        Ok(attempt_is_over(&run, self.id))
    }

    async fn wait_longer(&self, mut length: watch::Receiver<u64>) {
        let seen = self.offset;
        // Fails when the log is closed; then the next round finds out how it ended.
        let _ = length.wait_for(|length| *length > seen).await;
    }

    async fn wait_for_run(&mut self) {
        loop {
            match self.changes.recv().await {
                Ok(Change::Run(run)) if run.id != self.id.run => {}
                Ok(Change::Run(_)) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                Ok(
                    Change::Progress(..)
                    | Change::Tasks
                    | Change::Pools
                    | Change::Variables
                    | Change::Scripts,
                ) => {}
            }
        }
    }
}

fn attempt_is_over(run: &Run, id: LogId) -> bool {
    let Some(step) = run.steps.get(id.position) else {
        return true;
    };
    step.state.is_final()
        || step.attempt > id.attempt
        || (step.attempt == id.attempt
            && step.state != crate::domain::lifecycle::StepState::Running
            && step.attempt > 0)
}
