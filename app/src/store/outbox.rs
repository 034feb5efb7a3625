//! Notifications that wait to be sent. They are written in the same transaction as the event they
//! are about, so a crash in between loses and invents none.

use super::codec::{corrupt, from_json, json, millis, optional_time, time};
use super::error::StoreError;
use super::set_aside::readable;
use super::transaction::Tx;
use crate::domain::channel::Occasion;
use chrono::{DateTime, Utc};
use rusqlite::Row;

/// Messages that are over and still shown.
const KEEP: i64 = 200;

/// A notification for one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: i64,
    /// The channel.
    pub channel: i64,
    /// The reason for sending it.
    pub occasion: Occasion,
    /// The task's name at that time.
    pub task: String,
    /// The run, where it is about one.
    pub run: Option<i64>,
    /// The event in words.
    pub text: String,
    /// Time of the event.
    pub at: DateTime<Utc>,
    /// Attempts that failed.
    pub attempts: u32,
    /// The addresses of a mail that still have to get it; none before an attempt reached some of them.
    pub recipients: Option<Vec<String>>,
}

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// It is sent when it is due.
    Waiting,
    /// The other side took it.
    Sent,
    /// It was tried for too long.
    GivenUp,
}

impl MessageState {
    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::GivenUp => "given_up",
        }
    }
}

/// A message as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// The name of its channel.
    pub channel: String,
    /// Its state.
    pub state: MessageState,
    /// The next attempt, where it waits.
    pub due: DateTime<Utc>,
    /// The error of the last attempt.
    pub error: Option<String>,
    /// Time at which it was sent or given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// An event, before its channels are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AlarmNews<'a> {
    pub(super) occasion: Occasion,
    pub(super) task: i64,
    pub(super) name: &'a str,
    pub(super) run: Option<i64>,
    pub(super) text: &'a str,
}

/// Writes a message for every channel that subscribes to the event.
pub(super) fn post(
    tx: &Tx<'_>,
    news: &AlarmNews<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let wanted = match news.occasion {
        Occasion::Failure => "(on_failure OR kind = 'ping')",
        Occasion::Recovery => "(on_recovery AND kind <> 'ping')",
        Occasion::Overdue => "(on_overdue AND kind <> 'ping')",
        Occasion::Success => "kind = 'ping'",
        Occasion::Test => return Ok(()),
    };
    let wanted = format!(
        "SELECT id FROM channels WHERE enabled AND {wanted}
         AND (all_tasks OR EXISTS (SELECT 1 FROM channel_tasks WHERE channel_id = channels.id AND task_id = ?1))"
    );
    // A ping says how things are now, so an older one that still waits is only noise.
    tx.0.prepare_cached(&format!(
        "DELETE FROM outbox WHERE state = 'waiting' AND task_name = ?2
         AND channel_id IN ({wanted} AND kind = 'ping')"
    ))?
    .execute((news.task, news.name))?;
    tx.0.prepare_cached(&format!(
        "INSERT INTO outbox (channel_id, occasion, task_name, run_id, text, at, due, state)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?6, 'waiting' FROM ({wanted})"
    ))?
    .execute((
        news.task,
        news.occasion.as_str(),
        news.name,
        news.run,
        news.text,
        millis(now),
    ))?;
    Ok(())
}

/// The columns of a message.
const COLUMNS: &str =
    "outbox.id, channel_id, occasion, task_name, run_id, text, at, attempts, recipients";

/// The oldest due message of a channel that can be read.
pub fn due(tx: &Tx<'_>, channel: i64, now: DateTime<Utc>) -> Result<Option<Message>, StoreError> {
    let mut statement = tx.0.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox
         WHERE state = 'waiting' AND channel_id = ?1 AND due <= ?2 ORDER BY id LIMIT 100"
    ))?;
    let rows = statement.query_and_then((channel, millis(now)), read)?;
    Ok(readable("notification", rows)?.into_iter().next())
}

/// The channels with waiting messages, each with the due time of its next one.
pub fn queues(tx: &Tx<'_>) -> Result<Vec<(i64, DateTime<Utc>)>, StoreError> {
    tx.0.prepare_cached(
        "SELECT channel_id, min(due) FROM outbox WHERE state = 'waiting' GROUP BY channel_id",
    )?
    .query_and_then([], |row| Ok((row.get(0)?, time(row.get(1)?)?)))?
    .collect()
}

/// A message was sent; `refused` holds the recipients that did not get it.
pub fn sent(
    tx: &Tx<'_>,
    id: i64,
    refused: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    finish(tx, id, MessageState::Sent, refused, now)
}

/// A message is given up.
pub fn given_up(tx: &Tx<'_>, id: i64, error: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    finish(tx, id, MessageState::GivenUp, Some(error), now)
}

fn finish(
    tx: &Tx<'_>,
    id: i64,
    state: MessageState,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.0.execute(
        // Refused recipients of an earlier attempt stay named.
        "UPDATE outbox SET state = ?2, attempts = attempts + 1, finished_at = ?4,
             error = coalesce(?3, CASE WHEN recipients IS NOT NULL THEN error END) WHERE id = ?1",
        (id, state.as_str(), error, millis(now)),
    )?;
    tx.0.execute(
        "DELETE FROM outbox WHERE state <> 'waiting' AND id <= (
             SELECT id FROM outbox WHERE state <> 'waiting' ORDER BY id DESC LIMIT 1 OFFSET ?1)",
        [KEEP],
    )?;
    Ok(())
}

/// Some recipients have to get a message later. The messages after it do not wait.
pub fn postpone_some(
    tx: &Tx<'_>,
    id: i64,
    recipients: &[String],
    error: &str,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.0.execute(
        "UPDATE outbox SET attempts = attempts + 1, error = ?2, recipients = ?3, due = ?4 WHERE id = ?1",
        (id, error, json("recipients", &recipients)?, millis(until)),
    )?;
    Ok(())
}

/// An attempt failed. Everything else for the same channel waits as long: it would fail too.
pub fn postpone(
    tx: &Tx<'_>,
    message: &Message,
    error: &str,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.0.execute(
        "UPDATE outbox SET attempts = attempts + 1, error = ?2 WHERE id = ?1",
        (message.id, error),
    )?;
    tx.0.execute(
        "UPDATE outbox SET due = ?2 WHERE channel_id = ?1 AND state = 'waiting' AND due < ?2",
        (message.channel, millis(until)),
    )?;
    Ok(())
}

/// The newest messages in any state.
pub fn newest(tx: &Tx<'_>, limit: u32) -> Result<Vec<Delivery>, StoreError> {
    let mut statement = tx.0.prepare(&format!(
        "SELECT {COLUMNS}, channels.name AS channel_name, state, due, error, finished_at
         FROM outbox JOIN channels ON channels.id = channel_id ORDER BY outbox.id DESC LIMIT ?1"
    ))?;
    let rows = statement.query_and_then([limit], |row| {
        let state: String = row.get("state")?;
        Ok(Delivery {
            message: read(row)?,
            channel: row.get("channel_name")?,
            state: [
                MessageState::Waiting,
                MessageState::Sent,
                MessageState::GivenUp,
            ]
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| corrupt("message state")(state))?,
            due: time(row.get("due")?)?,
            error: row.get("error")?,
            finished_at: optional_time(row.get("finished_at")?)?,
        })
    })?;
    readable("notification", rows)
}

fn read(row: &Row<'_>) -> Result<Message, StoreError> {
    let occasion: String = row.get("occasion")?;
    Ok(Message {
        id: row.get("id")?,
        channel: row.get("channel_id")?,
        occasion: Occasion::ALL
            .into_iter()
            .find(|known| known.as_str() == occasion)
            .ok_or_else(|| corrupt("occasion")(occasion))?,
        task: row.get("task_name")?,
        run: row.get("run_id")?,
        text: row.get("text")?,
        at: time(row.get("at")?)?,
        attempts: row.get("attempts")?,
        recipients: row
            .get::<_, Option<String>>("recipients")?
            .map(|text| from_json("recipients", &text))
            .transpose()?,
    })
}
