//! Channels of notifications in the database. Targets arrive here sealed and leave sealed.

use super::codec::{corrupt, millis, time};
use super::error::StoreError;
use super::set_aside::readable;
use super::transaction::Tx;
use crate::domain::channel::{Channel, Wishes};
use crate::domain::names::{ChannelName, TaskName};
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row};

/// A channel as it lies in the database.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredChannel {
    /// Its number.
    pub id: i64,
    /// The channel without its target.
    pub channel: Channel,
    /// The target, sealed under the name of the channel.
    pub sealed: Vec<u8>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

const SELECT: &str = "SELECT id, name, kind, enabled, on_failure, on_recovery, on_overdue, all_tasks, sealed, updated_at FROM channels";

/// Channels by name.
pub fn list(tx: &Tx<'_>) -> Result<Vec<StoredChannel>, StoreError> {
    let mut statement = tx.0.prepare(&format!("{SELECT} ORDER BY name"))?;
    readable(
        "notification channel",
        statement.query_and_then([], |row| read(tx, row))?,
    )
}

/// The channel of that name.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub fn get(tx: &Tx<'_>, name: &ChannelName) -> Result<StoredChannel, StoreError> {
    tx.0.prepare(&format!("{SELECT} WHERE name = ?1"))?
        .query_and_then([name.as_str()], |row| read(tx, row))?
        .next()
        .unwrap_or_else(|| Err(missing(name.as_str())))
}

/// The channel of that number.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<StoredChannel, StoreError> {
    tx.0.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
        .query_and_then([id], |row| read(tx, row))?
        .next()
        .unwrap_or_else(|| Err(missing(&id.to_string())))
}

fn read(tx: &Tx<'_>, row: &Row<'_>) -> Result<StoredChannel, StoreError> {
    let id = row.get("id")?;
    let tasks = if row.get("all_tasks")? {
        None
    } else {
        Some(tasks(tx, id)?)
    };
    Ok(StoredChannel {
        id,
        channel: Channel {
            name: ChannelName::new(row.get::<_, String>("name")?).map_err(corrupt("channel"))?,
            kind: row
                .get::<_, String>("kind")?
                .parse()
                .map_err(corrupt("channel kind"))?,
            enabled: row.get("enabled")?,
            wishes: Wishes {
                failure: row.get("on_failure")?,
                recovery: row.get("on_recovery")?,
                overdue: row.get("on_overdue")?,
            },
            tasks,
        },
        sealed: row.get("sealed")?,
        updated_at: time(row.get("updated_at")?)?,
    })
}

fn tasks(tx: &Tx<'_>, channel: i64) -> Result<Vec<TaskName>, StoreError> {
    tx.0.prepare_cached(
        "SELECT name FROM channel_tasks JOIN tasks ON tasks.id = task_id WHERE channel_id = ?1 ORDER BY name",
    )?
    .query_and_then([channel], |row| {
        TaskName::new(row.get::<_, String>("name")?).map_err(corrupt("task name"))
    })?
    .collect()
}

/// Adds a channel.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken, [`StoreError::NotFound`] for a task
/// that does not exist.
pub fn insert(
    tx: &Tx<'_>,
    channel: &Channel,
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    check_name(tx, &channel.name, None)?;
    let wishes = channel.wishes;
    tx.0.execute(
        "INSERT INTO channels (name, kind, enabled, on_failure, on_recovery, on_overdue, all_tasks, sealed, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            channel.name.as_str(),
            channel.kind.as_str(),
            channel.enabled,
            wishes.failure,
            wishes.recovery,
            wishes.overdue,
            channel.tasks.is_none(),
            sealed,
            millis(now),
        ),
    )?;
    insert_tasks(tx, tx.0.last_insert_rowid(), channel)
}

/// Replaces a channel; waiting notifications are sent to the new target.
///
/// # Errors
/// As [`insert`].
pub fn update(
    tx: &Tx<'_>,
    id: i64,
    channel: &Channel,
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    check_name(tx, &channel.name, Some(id))?;
    let wishes = channel.wishes;
    tx.0.execute(
        "UPDATE channels SET name = ?2, kind = ?3, enabled = ?4, on_failure = ?5, on_recovery = ?6,
         on_overdue = ?7, all_tasks = ?8, sealed = ?9, updated_at = ?10 WHERE id = ?1",
        (
            id,
            channel.name.as_str(),
            channel.kind.as_str(),
            channel.enabled,
            wishes.failure,
            wishes.recovery,
            wishes.overdue,
            channel.tasks.is_none(),
            sealed,
            millis(now),
        ),
    )?;
    tx.0.execute("DELETE FROM channel_tasks WHERE channel_id = ?1", [id])?;
    insert_tasks(tx, id, channel)?;
    // A mended target is tried at once; one that is switched off gets nothing late.
    if channel.enabled {
        tx.0.execute(
            "UPDATE outbox SET due = ?2 WHERE channel_id = ?1 AND state = 'waiting'",
            (id, millis(now)),
        )?;
    } else {
        tx.0.execute(
            "DELETE FROM outbox WHERE channel_id = ?1 AND state = 'waiting'",
            [id],
        )?;
    }
    Ok(())
}

/// Removes a channel and its waiting notifications.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none of that name.
pub fn delete(tx: &Tx<'_>, name: &ChannelName) -> Result<(), StoreError> {
    match tx
        .0
        .execute("DELETE FROM channels WHERE name = ?1", [name.as_str()])?
    {
        0 => Err(missing(name.as_str())),
        _ => Ok(()),
    }
}

fn insert_tasks(tx: &Tx<'_>, id: i64, channel: &Channel) -> Result<(), StoreError> {
    for task in channel.tasks.iter().flatten() {
        let task = super::tasks::by_name(tx, task.as_str())?;
        tx.0.execute(
            "INSERT OR IGNORE INTO channel_tasks (channel_id, task_id) VALUES (?1, ?2)",
            (id, task.id.0),
        )?;
    }
    Ok(())
}

fn check_name(tx: &Tx<'_>, name: &ChannelName, own: Option<i64>) -> Result<(), StoreError> {
    let holder: Option<i64> =
        tx.0.query_row(
            "SELECT id FROM channels WHERE name = ?1",
            [name.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    match holder {
        Some(id) if Some(id) != own => Err(StoreError::Duplicate {
            what: "channel",
            name: name.to_string(),
        }),
        _ => Ok(()),
    }
}

fn missing(name: &str) -> StoreError {
    StoreError::NotFound {
        what: "channel",
        name: name.to_owned(),
    }
}
