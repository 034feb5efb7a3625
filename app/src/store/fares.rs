//! The overview of tasks, read in one view of the database.

use super::codec::{millis, optional_time, time};
use super::error::StoreError;
use super::runs::{self, read_count, run_state};
use super::set_aside::readable;
use super::task_facts::{self, TaskFacts};
use super::tasks::{self, StoredTask};
use super::transaction::Tx;
use crate::domain::lifecycle::{Run, RunId, RunState};
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};

/// Most sizes of a task that make its trend.
const SIZES: u32 = 30;

/// The overview of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Fare {
    /// The task.
    pub stored: StoredTask,
    /// Its unfinished run with its state, if any.
    pub running: Option<(RunId, RunState)>,
    /// Its newest run that is over and did run.
    pub last: Option<Run>,
    /// Time of its last success, or of the last run with nothing to do.
    pub succeeded: Option<DateTime<Utc>>,
    /// Its last success, or the time of its first expected one: the base of "overdue".
    pub good: DateTime<Utc>,
    /// Its recent results, oldest first.
    pub lately: Vec<Ended>,
    /// The sizes of its backups, oldest first.
    pub sizes: Vec<Kept>,
    /// The last figures that its steps reported.
    pub facts: TaskFacts,
}

/// A run that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The run.
    pub run: RunId,
    /// Its final state.
    pub state: RunState,
    /// Time of creation.
    pub at: DateTime<Utc>,
}

/// The size that a run reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Time of the run's creation.
    pub at: DateTime<Utc>,
    /// Bytes of the archive.
    pub bytes: Option<u64>,
    /// Files in the mirror.
    pub files: Option<u64>,
}

/// The overview of all tasks, with their results since `since`.
pub fn fares(tx: &Tx<'_>, since: DateTime<Utc>) -> Result<Vec<Fare>, StoreError> {
    let mut facts = task_facts::all(tx)?;
    let all = tasks::list(tx)?.into_iter();
    all.map(|stored| {
        let facts = facts.remove(&stored.id).unwrap_or_default();
        fare(tx, stored, facts, since)
    })
    .collect()
}

fn fare(
    tx: &Tx<'_>,
    stored: StoredTask,
    facts: TaskFacts,
    since: DateTime<Utc>,
) -> Result<Fare, StoreError> {
    let id = stored.id;
    let (succeeded, good): (Option<i64>, i64) =
        tx.0.prepare_cached(
            "SELECT good, max(watched_from, coalesce(good, 0)) FROM (
                 SELECT watched_from, (SELECT finished_at FROM runs INDEXED BY runs_good WHERE task_id = ?1
                     AND state IN ('success', 'skipped') ORDER BY id DESC LIMIT 1) AS good
                 FROM tasks WHERE id = ?1)",
        )?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Fare {
        running: runs::running(tx, id)?,
        last: runs::last_finished(tx, id)?,
        succeeded: optional_time(succeeded)?,
        good: time(good)?,
        lately: lately(tx, id, since)?,
        sizes: sizes(tx, id)?,
        facts,
        stored,
    })
}

fn lately(tx: &Tx<'_>, task: TaskId, since: DateTime<Utc>) -> Result<Vec<Ended>, StoreError> {
    let mut statement = tx.0.prepare_cached(
        "SELECT id, state, created_at FROM runs INDEXED BY runs_of_task_by_time
         WHERE task_id = ?1 AND created_at >= ?2 AND state NOT IN ('queued', 'running') ORDER BY created_at, id",
    )?;
    let rows = statement.query_and_then((task.0, millis(since)), |row| {
        let state: String = row.get(1)?;
        Ok(Ended {
            run: RunId(row.get(0)?),
            state: run_state(&state)?,
            at: time(row.get(2)?)?,
        })
    })?;
    readable("run", rows)
}

fn sizes(tx: &Tx<'_>, task: TaskId) -> Result<Vec<Kept>, StoreError> {
    let mut newest_first =
        tx.0.prepare_cached(
            "SELECT created_at, stored_bytes AS bytes, mirrored_files AS files FROM runs INDEXED BY runs_sized
             WHERE task_id = ?1 AND (stored_bytes IS NOT NULL OR mirrored_files IS NOT NULL)
             ORDER BY id DESC LIMIT ?2",
        )?
        .query_and_then((task.0, SIZES), |row| {
            Ok(Kept {
                at: time(row.get(0)?)?,
                bytes: read_count(row, "bytes")?,
                files: read_count(row, "files")?,
            })
        })?
        .collect::<Result<Vec<_>, StoreError>>()?;
    newest_first.reverse();
    Ok(newest_first)
}
