//! The overview of tasks, read in one view of the database.

use super::codec::{millis, optional_time, time};
use super::error::StoreError;
use super::runs::{self, read_count, run_state};
use super::set_aside::unless_unreadable;
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
    /// The results of the days that were asked for, oldest first, without days on which no run was made.
    pub lately: Vec<DayResults>,
    /// The sizes of its backups, oldest first.
    pub sizes: Vec<Kept>,
    /// The last figures that its steps reported.
    pub facts: TaskFacts,
}

/// The runs that were created on one day and are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayResults {
    /// The place of the day in the list that was asked for.
    pub day: usize,
    /// Each final state that occurred, by its first run.
    pub results: Vec<Results>,
}

/// The runs of a day with the same final state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Results {
    /// The final state.
    pub state: RunState,
    /// Number of runs.
    pub count: usize,
    /// The one that was created last.
    pub newest: RunId,
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

/// The overview of all tasks, with their results on the days that begin at `days`, in order; the last one has no end.
pub fn fares(tx: &Tx<'_>, days: &[DateTime<Utc>]) -> Result<Vec<Fare>, StoreError> {
    let mut facts = task_facts::all(tx)?;
    let all = tasks::list(tx)?.into_iter();
    all.map(|stored| {
        let facts = facts.remove(&stored.id).unwrap_or_default();
        fare(tx, stored, facts, days)
    })
    .collect()
}

fn fare(
    tx: &Tx<'_>,
    stored: StoredTask,
    facts: TaskFacts,
    days: &[DateTime<Utc>],
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
        lately: lately(tx, id, days)?,
        sizes: sizes(tx, id)?,
        facts,
        stored,
    })
}

/// A task that runs every minute has 43,200 runs in 30 days: they are counted here, and none is kept.
fn lately(
    tx: &Tx<'_>,
    task: TaskId,
    days: &[DateTime<Utc>],
) -> Result<Vec<DayResults>, StoreError> {
    let Some(first) = days.first() else {
        return Ok(Vec::new());
    };
    // In the order of the index: a sort by number as well would write all rows anew.
    let mut statement = tx.0.prepare_cached(
        "SELECT id, state, created_at FROM runs INDEXED BY runs_of_task_by_time
         WHERE task_id = ?1 AND created_at >= ?2 AND state NOT IN ('queued', 'running') ORDER BY created_at",
    )?;
    let mut rows = statement.query((task.0, millis(*first)))?;
    let mut lately: Vec<DayResults> = Vec::new();
    let mut later = days
        .iter()
        .map(|begin| millis(*begin))
        .enumerate()
        .skip(1)
        .peekable();
    let mut today = 0;
    while let Some(row) = rows.next()? {
        let created: i64 = row.get(2)?;
        while let Some((day, _)) = later.next_if(|(_, begin)| *begin <= created) {
            today = day;
        }
        let state = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from);
        let state = state.map_err(StoreError::from).and_then(run_state);
        let Some(state) = unless_unreadable("run", state)? else {
            continue;
        };
        if lately.last().is_none_or(|last| last.day != today) {
            lately.push(DayResults {
                day: today,
                results: Vec::new(),
            });
        }
        let Some(results) = lately.last_mut().map(|last| &mut last.results) else {
            continue;
        };
        let newest = RunId(row.get(0)?);
        match results.iter_mut().find(|known| known.state == state) {
            Some(known) => {
                known.count += 1;
                known.newest = known.newest.max(newest);
            }
            None => results.push(Results {
                state,
                count: 1,
                newest,
            }),
        }
    }
    Ok(lately)
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
