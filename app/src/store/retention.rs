//! Old runs are removed by count and by age; the newest finished run always stays. Fires
//! that were missed are counted by themselves, so that they never push out a run with a log.

use super::codec::millis;
use super::error::StoreError;
use super::tasks;
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
    // The newest run of each kind stays whatever its age. Each part reads an index from its end, so a long history costs
    // little when one run is added to it.
    let mut removed = Vec::new();
    for kind in [
        "state NOT IN ('queued', 'running', 'missed')",
        "state = 'missed'",
    ] {
        let sql = format!(
            "DELETE FROM runs WHERE task_id = ?1 AND {kind} AND (
                 id <= (SELECT id FROM runs WHERE task_id = ?1 AND {kind} ORDER BY id DESC LIMIT 1 OFFSET ?2)
                 OR (created_at < ?3 AND id < (SELECT max(id) FROM runs WHERE task_id = ?1 AND {kind}))
             ) RETURNING id"
        );
        let mut statement = tx.0.prepare_cached(&sql)?;
        let ids =
            statement.query_map((task.0, retention.runs, millis(oldest)), |row| row.get(0))?;
        for id in ids {
            removed.push(id?);
        }
    }
    Ok(removed)
}

/// Removes the runs that no retention keeps, also those of tasks that no longer run. Gives the free pages of the file back.
/// Returns the numbers of the removed runs; the caller removes their logs.
pub fn prune_all(tx: &Tx<'_>, now: DateTime<Utc>) -> Result<Vec<i64>, StoreError> {
    let mut removed = Vec::new();
    for stored in tasks::list(tx)? {
        removed.append(&mut prune(tx, stored.id, stored.task.retention, now)?);
    }
    // Each row that this statement answers with is a page that was given back.
    let mut statement = tx.0.prepare("PRAGMA incremental_vacuum")?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(removed)
}
