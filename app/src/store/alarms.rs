//! Alarms of tasks, and the notifications about them: each run that ends and each
//! task that is overdue goes through here once.

use super::codec::{corrupt, millis, time};
use super::error::StoreError;
use super::outbox::{AlarmNews, post};
use super::set_aside::readable;
use super::transaction::Tx;
use crate::domain::channel::Occasion;
use crate::domain::lifecycle::{Run, RunState};
use crate::domain::names::TaskName;
use crate::domain::schedule::{Schedule, parse_zone};
use crate::domain::task::TaskId;
use crate::zones::Zone;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;

/// A task that fires by itself and was not reported as overdue. It may run just now: a run that hangs is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The task.
    pub task: TaskId,
    /// Its name.
    pub name: TaskName,
    /// Its CRON expression.
    pub schedule: Schedule,
    /// Its last success, or the beginning of its schedule.
    pub good: DateTime<Utc>,
}

/// Posts the notifications about the end of a run, in the transaction that saves its end. A script that a person tries and
/// a package that a person installs cause none: the person looks at the run.
pub fn run_ended(tx: &Tx<'_>, run: &Run, now: DateTime<Utc>) -> Result<(), StoreError> {
    if super::tasks::is_own(tx, run.task)? {
        return Ok(());
    }
    match run.state {
        RunState::Failed | RunState::Interrupted => {
            tx.0.prepare_cached(
                "INSERT INTO alarms (task_id, since) SELECT id, ?2 FROM tasks WHERE id = ?1 ON CONFLICT DO NOTHING",
            )?
            .execute((run.task.0, millis(now)))?;
            post(tx, &news(run, Occasion::Failure, &what_failed(run)), now)
        }
        RunState::Success => {
            let since: Option<i64> =
                tx.0.prepare_cached("DELETE FROM alarms WHERE task_id = ?1 RETURNING since")?
                    .query_row([run.task.0], |row| row.get(0))
                    .optional()?;
            if let Some(since) = since {
                let text = format!(
                    "succeeded again; something was wrong since {}",
                    time(since)?.format("%Y-%m-%d %H:%M UTC")
                );
                post(tx, &news(run, Occasion::Recovery, &text), now)?;
            }
            post(tx, &news(run, Occasion::Success, "succeeded"), now)
        }
        RunState::Skipped => post(tx, &news(run, Occasion::Success, "had nothing to do"), now),
        RunState::Queued | RunState::Running | RunState::Cancelled | RunState::Missed => Ok(()),
    }
}

fn news<'a>(run: &'a Run, occasion: Occasion, text: &'a str) -> AlarmNews<'a> {
    AlarmNews {
        occasion,
        task: run.task.0,
        name: run.task_name.as_str(),
        run: Some(run.id.0),
        text,
    }
}

/// The first thing that went wrong, in words.
fn what_failed(run: &Run) -> String {
    let bad = run.steps.iter().find(|step| step.is_bad());
    let verb = match run.state {
        RunState::Interrupted => "was interrupted",
        _ => "failed",
    };
    match bad {
        None => verb.to_owned(),
        Some(step) => {
            let reason = step.reason.as_ref().map(|r| format!(": {r}"));
            format!(
                "{verb} in step {}{}",
                step.step.name,
                reason.unwrap_or_default()
            )
        }
    }
}

/// The tasks that may become overdue; `zone` is that of those that name none.
pub fn watched(tx: &Tx<'_>, zone: Zone) -> Result<Vec<Watched>, StoreError> {
    let mut statement = tx.0.prepare_cached(
        "SELECT * FROM (
             SELECT id, name, cron, zone, overdue_from, max(watched_from, coalesce((
                 SELECT finished_at FROM runs WHERE task_id = tasks.id AND state IN ('success', 'skipped')
                 ORDER BY id DESC LIMIT 1), 0)) AS good
             FROM tasks LEFT JOIN alarms ON task_id = id
             WHERE auto = 1 AND cron IS NOT NULL)
         WHERE overdue_from IS NOT good",
    )?;
    let rows = statement.query_and_then([], |row| {
        let own: Option<String> = row.get("zone")?;
        let own = own
            .map(|text| parse_zone(&text))
            .transpose()
            .map_err(corrupt("zone"))?;
        let cron: String = row.get("cron")?;
        Ok(Watched {
            task: TaskId(row.get("id")?),
            name: TaskName::new(row.get::<_, String>("name")?).map_err(corrupt("task name"))?,
            schedule: Schedule::new(cron.parse().map_err(corrupt("cron"))?, own.unwrap_or(zone)),
            good: time(row.get("good")?)?,
        })
    })?;
    readable("schedule", rows)
}

/// Reports a task as overdue, once for each time it succeeded last.
pub fn overdue(tx: &Tx<'_>, watched: &Watched, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.0.prepare_cached(
        "INSERT INTO alarms (task_id, since, overdue_from) SELECT id, ?2, ?3 FROM tasks WHERE id = ?1
         ON CONFLICT DO UPDATE SET overdue_from = ?3",
    )?
    .execute((watched.task.0, millis(now), millis(watched.good)))?;
    let text = format!(
        "is overdue: no success since {}",
        watched.good.format("%Y-%m-%d %H:%M UTC")
    );
    let news = AlarmNews {
        occasion: Occasion::Overdue,
        task: watched.task.0,
        name: watched.name.as_str(),
        run: None,
        text: &text,
    };
    post(tx, &news, now)
}
