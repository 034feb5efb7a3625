//! Pauses of schedules: of one task or of all, until they are resumed or until a moment.

use super::codec::{millis, time};
use super::error::StoreError;
use super::tasks;
use super::transaction::Tx;
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Switches Auto off for every task and remembers which had it on; returns how many. With `until` they, and the tasks
/// that are paused already, are due to be resumed then.
pub fn pause_all(
    tx: &Tx<'_>,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<u32, StoreError> {
    tx.0.execute(
        "UPDATE tasks SET auto = 0, paused = 1, paused_until = ?2, updated_at = ?1
         WHERE paused OR (auto AND cron IS NOT NULL)",
        (millis(now), until.map(millis)),
    )?;
    paused(tx)
}

/// Switches Auto off for one task until `until`.
///
/// # Errors
/// [`StoreError::NotFound`] where the task does not exist.
pub fn pause_until(
    tx: &Tx<'_>,
    id: TaskId,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tasks::get(tx, id)?;
    tx.0.execute(
        "UPDATE tasks SET auto = 0, paused = 1, paused_until = ?2, updated_at = ?3 WHERE id = ?1",
        (id.0, millis(until), millis(now)),
    )?;
    Ok(())
}

/// The pauses that have an end.
pub fn pause_ends(tx: &Tx<'_>) -> Result<BTreeMap<TaskId, DateTime<Utc>>, StoreError> {
    tx.0.prepare_cached(
        "SELECT id, paused_until FROM tasks WHERE paused AND paused_until IS NOT NULL",
    )?
    .query_and_then([], |row| Ok((TaskId(row.get(0)?), time(row.get(1)?)?)))?
    .collect()
}

/// Resumes the tasks whose pause is over, with runs that count from `now`; returns how many.
pub fn resume_due(tx: &Tx<'_>, now: DateTime<Utc>) -> Result<u32, StoreError> {
    let resumed = tx.0.execute(
        "UPDATE tasks SET auto = 1, paused = 0, paused_until = NULL, scheduled_through = ?1, watched_from = ?1, updated_at = ?1
         WHERE paused AND paused_until <= ?1",
        [millis(now)],
    )?;
    Ok(u32::try_from(resumed).unwrap_or(u32::MAX))
}

/// Switches Auto on again for the paused tasks, with fires that count from `now`;
/// returns how many.
pub fn resume_all(tx: &Tx<'_>, now: DateTime<Utc>) -> Result<u32, StoreError> {
    let count = paused(tx)?;
    tx.0.execute(
        "UPDATE tasks SET auto = 1, paused = 0, paused_until = NULL, scheduled_through = ?1, watched_from = ?1, updated_at = ?1 WHERE paused",
        [millis(now)],
    )?;
    Ok(count)
}

/// The number of paused tasks.
pub fn paused(tx: &Tx<'_>) -> Result<u32, StoreError> {
    Ok(tx
        .0
        .query_row("SELECT count(*) FROM tasks WHERE paused", [], |row| {
            row.get(0)
        })?)
}

/// The tasks whose schedule is paused.
pub fn paused_tasks(tx: &Tx<'_>) -> Result<BTreeSet<TaskId>, StoreError> {
    tx.0.prepare_cached("SELECT id FROM tasks WHERE paused")?
        .query_map([], |row| row.get(0).map(TaskId))?
        .map(|id| Ok(id?))
        .collect()
}

/// Pauses the schedule of one task: its Auto is off until all schedules are resumed.
///
/// # Errors
/// [`StoreError::NotFound`] where the task does not exist.
pub fn pause(tx: &Tx<'_>, name: &str) -> Result<(), StoreError> {
    let id = tasks::by_name(tx, name)?.id;
    tx.0.execute(
        "UPDATE tasks SET auto = 0, paused = 1 WHERE id = ?1",
        [id.0],
    )?;
    Ok(())
}
