//! Times in the database that tell if a clock can be right, and the time zone of the last start.

use super::codec::{millis, optional_time, time};
use super::error::StoreError;
use super::transaction::Tx;
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;

/// Key of the default time zone at the last start.
const ZONE: &str = "clock.default_zone";
/// Key of the time from which on the clock was believed against newer rows.
const BELIEVED: &str = "clock.believed";

/// The latest time at which a row was written.
pub fn newest(tx: &Tx<'_>) -> Result<DateTime<Utc>, StoreError> {
    let newest = tx.0.query_row(
        "SELECT max(
             coalesce((SELECT max(created_at) FROM runs), 0),
             coalesce((SELECT max(at) FROM audit), 0),
             coalesce((SELECT max(max(updated_at, scheduled_through)) FROM tasks), 0))",
        [],
        |row| row.get(0),
    )?;
    time(newest)
}

/// Counts a task's fires from `now` on. Its runs keep no fire time after `now`, so those times may come again.
pub fn count_from(tx: &Tx<'_>, task: TaskId, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.0.execute(
        "UPDATE tasks SET scheduled_through = ?2 WHERE id = ?1",
        (task.0, millis(now)),
    )?;
    tx.0.execute(
        "UPDATE runs SET due = NULL, note = coalesce(note || '; ', '') || 'after it the clock went back'
         WHERE task_id = ?1 AND due > ?2",
        (task.0, millis(now)),
    )?;
    Ok(())
}

/// The time from which on the clock was believed although rows were newer.
pub fn believed(tx: &Tx<'_>) -> Result<Option<DateTime<Utc>>, StoreError> {
    optional_time(value(tx, BELIEVED)?.and_then(|text| text.parse().ok()))
}

/// Keeps that time.
pub fn keep_believed(tx: &Tx<'_>, now: DateTime<Utc>) -> Result<(), StoreError> {
    keep(tx, BELIEVED, &millis(now).to_string())
}

/// The default time zone of the last start.
pub fn default_zone(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    value(tx, ZONE)
}

/// Keeps the default time zone.
pub fn keep_default_zone(tx: &Tx<'_>, zone: &str) -> Result<(), StoreError> {
    keep(tx, ZONE, zone)
}

fn value(tx: &Tx<'_>, key: &str) -> Result<Option<String>, StoreError> {
    let mut statement = tx.0.prepare("SELECT value FROM settings WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

fn keep(tx: &Tx<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    tx.0.execute(
        "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        (key, value),
    )?;
    Ok(())
}
