//! Old runs are removed by count and by age; the newest finished run always stays. Fires
//! that were missed are counted by themselves, so that they never push out a run with a log.

use super::codec::millis;
use super::error::StoreError;
use super::transaction::Tx;
use crate::domain::task::{Retention, TaskId};
use chrono::{DateTime, TimeDelta, Utc};

/// Removes the finished runs of a task that its retention no longer keeps; returns
/// their numbers; the caller removes their logs.
pub fn prune(
    tx: &Tx<'_>,
    task: TaskId,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<Vec<i64>, StoreError> {
    let oldest = now - TimeDelta::days(i64::from(retention.days));
    let removed = tx
        .0
        .prepare_cached(
            "DELETE FROM runs WHERE id IN (
                 SELECT id FROM (
                     SELECT id, created_at, row_number() OVER (PARTITION BY state = 'missed' ORDER BY id DESC) AS age
                     FROM runs WHERE task_id = ?1 AND state NOT IN ('queued', 'running')
                 ) WHERE age > ?2 OR (age > 1 AND created_at < ?3)
             ) RETURNING id",
        )?
        .query_map((task.0, retention.runs, millis(oldest)), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(removed)
}
