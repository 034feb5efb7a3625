//! The counts of the metrics in the database.

use super::error::StoreError;
use super::transaction::Tx;

/// Counts that metrics tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Finished runs ever, by task and state. They only grow, also when old runs are removed.
    pub finished: Vec<(String, String, i64)>,
    /// Runs that are queued or running, by state.
    pub active: Vec<(String, i64)>,
    /// Notifications that wait to be sent.
    pub notifications: i64,
    /// Bytes of the database file.
    pub bytes: i64,
}

/// Counts.
pub fn measure(tx: &Tx<'_>) -> Result<Measured, StoreError> {
    let finished =
        tx.0.prepare_cached(
            "SELECT tasks.name, state, count FROM run_totals JOIN tasks ON tasks.id = task_id
             ORDER BY tasks.name, state",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let active =
        tx.0.prepare_cached(
            "SELECT state, count(*) FROM runs WHERE state IN ('queued', 'running') GROUP BY state",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let number = |sql| tx.0.query_row(sql, [], |row| row.get(0));
    Ok(Measured {
        finished,
        active,
        notifications: number("SELECT count(*) FROM outbox WHERE state = 'waiting'")?,
        bytes: number(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        )?,
    })
}

/// The version of SQLite that is compiled in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
