//! Numbered migrations: each runs once, in order, in one transaction with its number.

use super::error::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// The migrations; the number of one is its place, from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_pause.sql"),
    include_str!("migrations/0003_notifications.sql"),
    include_str!("migrations/0004_runs.sql"),
    include_str!("migrations/0005_audit.sql"),
    include_str!("migrations/0006_access.sql"),
    include_str!("migrations/0007_warnings.sql"),
    include_str!("migrations/0008_definition.sql"),
    include_str!("migrations/0009_facts.sql"),
    include_str!("migrations/0010_history.sql"),
    include_str!("migrations/0011_uncounted.sql"),
    include_str!("migrations/0012_recipients.sql"),
    include_str!("migrations/0013_pause_end.sql"),
    include_str!("migrations/0014_proofs.sql"),
];

/// Marks the file as ours: the bytes `LFlw`, shown by file(1).
pub(super) const APPLICATION_ID: i32 = 0x4c46_6c77;

/// Brings the schema up to date.
///
/// # Errors
/// Refuses a file that a newer version wrote, or that belongs to another program.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let latest = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let refuse = |why: String| StoreError::Open {
        path: path.to_owned(),
        why,
    };
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let owner: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != APPLICATION_ID && (owner != 0 || version != 0 || tables != 0) {
        return Err(refuse(
            "it belongs to another program; point LIGHTFLOW_DATA_DIR at a folder of its own"
                .to_owned(),
        ));
    }
    if version > latest {
        return Err(refuse(format!(
            "its schema is version {version}, written by a newer lightflow; this one knows versions up to {}. Install the newer version, or restore a snapshot made by this one",
            latest
        )));
    }
    for (number, sql) in (1..=latest)
        .zip(MIGRATIONS)
        .skip_while(|(n, _)| *n <= version)
    {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.commit()?;
    }
    give_back_space(connection);
    Ok(())
}

/// Refuses a file with an older schema: one that is write-protected cannot be brought up to date.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if i64::try_from(MIGRATIONS.len()) == Ok(version) {
        return Ok(());
    }
    Err(StoreError::ReadOnly(path.to_owned()))
}

/// Lets the file shrink when rows are removed. A file of an older version is written anew for this, once.
fn give_back_space(connection: &Connection) {
    let done = connection
        .query_row("PRAGMA auto_vacuum", [], |row| row.get(0))
        .and_then(|mode: i64| match mode {
            0 => connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;"),
            _ => Ok(()),
        });
    if let Err(error) = done {
        tracing::warn!(%error, "the database file keeps its size when runs are removed; the next start tries again");
    }
}
