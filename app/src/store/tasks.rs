//! Tasks and their steps in the database, and the claim of a fire time.

use super::codec::{STEP_COLUMNS, StepValues, corrupt, millis, step, step_values, time};
use super::error::StoreError;
use super::pools;
use crate::domain::cron::CronExpr;
use crate::domain::names::{PoolName, TaskName};
use crate::domain::schedule::parse_zone;
use crate::domain::task::{MissedPolicy, Retention, Task, TaskId, TaskParts};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rusqlite::{OptionalExtension, Row, Transaction};

/// A task with its number.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTask {
    /// Its number.
    pub id: TaskId,
    /// Its definition.
    pub task: Task,
}

/// What the ticker needs to know of a task that fires by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Fire {
    /// The task.
    pub id: TaskId,
    /// Its name, for the log.
    pub name: TaskName,
    /// When it fires.
    pub cron: CronExpr,
    /// The zone of its own, if any.
    pub zone: Option<Tz>,
    /// What to do with fires that passed.
    pub on_missed: MissedPolicy,
    /// All fires up to and including this time are dealt with.
    pub scheduled_through: DateTime<Utc>,
}

const SELECT: &str =
    "SELECT id, name, cron, zone, pool, auto, on_missed, keep_runs, keep_days FROM tasks";

/// All tasks by name.
///
/// # Errors
/// Those of the database.
pub fn list(tx: &Transaction<'_>) -> Result<Vec<StoredTask>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
    statement.query_and_then([], |row| read(tx, row))?.collect()
}

/// The task of that number.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub fn get(tx: &Transaction<'_>, id: TaskId) -> Result<StoredTask, StoreError> {
    tx.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
        .query_and_then([id.0], |row| read(tx, row))?
        .next()
        .unwrap_or_else(|| Err(missing(&id.0.to_string())))
}

/// The task of that name.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub fn by_name(tx: &Transaction<'_>, name: &str) -> Result<StoredTask, StoreError> {
    tx.prepare_cached(&format!("{SELECT} WHERE name = ?1"))?
        .query_and_then([name], |row| read(tx, row))?
        .next()
        .unwrap_or_else(|| Err(missing(name)))
}

fn read(tx: &Transaction<'_>, row: &Row<'_>) -> Result<StoredTask, StoreError> {
    let id = TaskId(row.get("id")?);
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {STEP_COLUMNS} FROM steps WHERE task_id = ?1 ORDER BY position"
    ))?;
    let steps = statement
        .query_and_then([id.0], step)?
        .collect::<Result<Vec<_>, _>>()?;
    let task = Task::try_from(TaskParts {
        name: TaskName::new(row.get::<_, String>("name")?).map_err(corrupt("task name"))?,
        cron: cron(row)?,
        zone: zone(row)?,
        pool: PoolName::new(row.get::<_, String>("pool")?).map_err(corrupt("pool"))?,
        auto: row.get("auto")?,
        on_missed: on_missed(row)?,
        retention: Retention::new(row.get("keep_runs")?, row.get("keep_days")?)
            .map_err(corrupt("retention"))?,
        steps,
    })
    .map_err(corrupt("task"))?;
    Ok(StoredTask { id, task })
}

fn cron(row: &Row<'_>) -> Result<Option<CronExpr>, StoreError> {
    row.get::<_, Option<String>>("cron")?
        .map(|text| text.parse().map_err(corrupt("cron")))
        .transpose()
}

fn zone(row: &Row<'_>) -> Result<Option<Tz>, StoreError> {
    row.get::<_, Option<String>>("zone")?
        .map(|text| parse_zone(&text).map_err(corrupt("zone")))
        .transpose()
}

fn on_missed(row: &Row<'_>) -> Result<MissedPolicy, StoreError> {
    row.get::<_, String>("on_missed")?
        .parse()
        .map_err(corrupt("on_missed"))
}

/// Adds a task; its fires count from `now`.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken, [`StoreError::UnknownPool`]
/// where the pool does not exist.
pub fn insert(tx: &Transaction<'_>, task: &Task, now: DateTime<Utc>) -> Result<TaskId, StoreError> {
    check_name(tx, &task.name, None)?;
    check_pool(tx, &task.pool)?;
    tx.execute(
        "INSERT INTO tasks (name, cron, zone, pool, auto, on_missed, keep_runs, keep_days, scheduled_through, watched_from, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?9, ?9)",
        (
            task.name.as_str(),
            task.cron.as_ref().map(ToString::to_string),
            task.zone.map(|z| z.name()),
            task.pool.as_str(),
            task.auto,
            task.on_missed.as_str(),
            task.retention.runs,
            task.retention.days,
            millis(now),
        ),
    )?;
    let id = TaskId(tx.last_insert_rowid());
    insert_steps(tx, id, task)?;
    Ok(id)
}

/// Replaces the definition of a task. Where its schedule changes, or it is switched
/// on, its fires count from `now`, so that nothing is caught up that nobody asked for.
///
/// # Errors
/// As [`insert`], and [`StoreError::NotFound`] where the task does not exist.
pub fn update(
    tx: &Transaction<'_>,
    id: TaskId,
    task: &Task,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let old = get(tx, id)?.task;
    check_name(tx, &task.name, Some(id))?;
    check_pool(tx, &task.pool)?;
    tx.execute(
        "UPDATE tasks SET name = ?2, cron = ?3, zone = ?4, pool = ?5, auto = ?6,
         paused = paused AND NOT ?6, on_missed = ?7, keep_runs = ?8, keep_days = ?9, updated_at = ?10 WHERE id = ?1",
        (
            id.0,
            task.name.as_str(),
            task.cron.as_ref().map(ToString::to_string),
            task.zone.map(|z| z.name()),
            task.pool.as_str(),
            task.auto,
            task.on_missed.as_str(),
            task.retention.runs,
            task.retention.days,
            millis(now),
        ),
    )?;
    if old.cron != task.cron || old.zone != task.zone || (task.auto && !old.auto) {
        reschedule(tx, id, now)?;
    }
    tx.execute("DELETE FROM steps WHERE task_id = ?1", [id.0])?;
    insert_steps(tx, id, task)
}

/// Switches Auto on or off.
///
/// # Errors
/// [`StoreError::NotFound`] where the task does not exist.
pub fn set_auto(
    tx: &Transaction<'_>,
    id: TaskId,
    auto: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let was = get(tx, id)?.task.auto;
    tx.execute(
        "UPDATE tasks SET auto = ?2, paused = 0, updated_at = ?3 WHERE id = ?1",
        (id.0, auto, millis(now)),
    )?;
    if auto && !was {
        reschedule(tx, id, now)?;
    }
    Ok(())
}

/// Switches Auto off for every task and remembers which had it on; returns how many.
///
/// # Errors
/// Those of the database.
pub fn pause_all(tx: &Transaction<'_>, now: DateTime<Utc>) -> Result<u32, StoreError> {
    tx.execute(
        "UPDATE tasks SET auto = 0, paused = 1, updated_at = ?1 WHERE auto AND cron IS NOT NULL",
        [millis(now)],
    )?;
    paused(tx)
}

/// Switches Auto on again for the tasks that were paused, whose fires count from `now`;
/// returns how many.
///
/// # Errors
/// Those of the database.
pub fn resume_all(tx: &Transaction<'_>, now: DateTime<Utc>) -> Result<u32, StoreError> {
    let count = paused(tx)?;
    tx.execute(
        "UPDATE tasks SET auto = 1, paused = 0, scheduled_through = ?1, watched_from = ?1, updated_at = ?1 WHERE paused",
        [millis(now)],
    )?;
    Ok(count)
}

/// How many tasks are paused.
///
/// # Errors
/// Those of the database.
pub fn paused(tx: &Transaction<'_>) -> Result<u32, StoreError> {
    Ok(
        tx.query_row("SELECT count(*) FROM tasks WHERE paused", [], |row| {
            row.get(0)
        })?,
    )
}

/// Declares all fires of a task up to `through` dealt with; it is expected to succeed from then on.
///
/// # Errors
/// Those of the database.
pub fn reschedule(
    tx: &Transaction<'_>,
    id: TaskId,
    through: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tasks SET scheduled_through = ?2, watched_from = ?2 WHERE id = ?1",
        (id.0, millis(through)),
    )?;
    Ok(())
}

/// The zone of tasks that name none is another one: what they fired by the old one up to `through` was all.
///
/// # Errors
/// Those of the database.
pub fn change_zone(tx: &Transaction<'_>, through: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tasks SET scheduled_through = ?1 WHERE zone IS NULL AND scheduled_through < ?1",
        [millis(through)],
    )?;
    Ok(())
}

/// Claims a fire time: succeeds once.
///
/// # Errors
/// [`StoreError::AlreadyClaimed`] where it, or a later one, was dealt with.
pub fn claim(tx: &Transaction<'_>, id: TaskId, due: DateTime<Utc>) -> Result<(), StoreError> {
    let changed = tx
        .prepare_cached(
            "UPDATE tasks SET scheduled_through = ?2 WHERE id = ?1 AND scheduled_through < ?2",
        )?
        .execute((id.0, millis(due)))?;
    if changed == 0 {
        return Err(StoreError::AlreadyClaimed);
    }
    Ok(())
}

/// Removes a task with its runs; returns the numbers of the runs, whose logs the caller removes.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::InUse`] while a run of it goes on.
pub fn delete(tx: &Transaction<'_>, id: TaskId) -> Result<Vec<i64>, StoreError> {
    let task = get(tx, id)?.task;
    let active = tx
        .query_row(
            "SELECT id FROM runs WHERE task_id = ?1 AND state IN ('queued', 'running')",
            [id.0],
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    if let Some(run) = active {
        return Err(StoreError::InUse(format!(
            "run {run} of the task {:?} goes on; cancel it first",
            task.name.as_str()
        )));
    }
    let runs = tx
        .prepare("SELECT id FROM runs WHERE task_id = ?1")?
        .query_map([id.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    tx.execute("DELETE FROM tasks WHERE id = ?1", [id.0])?;
    Ok(runs)
}

/// The tasks that fire by themselves.
///
/// # Errors
/// Those of the database.
pub fn fires(tx: &Transaction<'_>) -> Result<Vec<Fire>, StoreError> {
    tx.prepare_cached(
        "SELECT id, name, cron, zone, on_missed, scheduled_through FROM tasks
         WHERE auto = 1 AND cron IS NOT NULL ORDER BY id",
    )?
    .query_and_then([], |row| {
        Ok(Fire {
            id: TaskId(row.get("id")?),
            name: TaskName::new(row.get::<_, String>("name")?).map_err(corrupt("task name"))?,
            cron: cron(row)?.ok_or_else(|| corrupt("cron")("absent"))?,
            zone: zone(row)?,
            on_missed: on_missed(row)?,
            scheduled_through: time(row.get("scheduled_through")?)?,
        })
    })?
    .collect()
}

fn insert_steps(tx: &Transaction<'_>, id: TaskId, task: &Task) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "INSERT INTO steps (task_id, position, {STEP_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    ))?;
    for (position, step) in (0i64..).zip(task.steps()) {
        let StepValues {
            name,
            program,
            args,
            rule,
            timeout_s,
            retries,
            retry_delay_s,
            env,
            working_dir,
        } = step_values(step)?;
        statement.execute((
            id.0,
            position,
            name,
            program,
            args,
            rule,
            timeout_s,
            retries,
            retry_delay_s,
            env,
            working_dir,
        ))?;
    }
    Ok(())
}

fn check_name(
    tx: &Transaction<'_>,
    name: &TaskName,
    own: Option<TaskId>,
) -> Result<(), StoreError> {
    let holder: Option<i64> = tx
        .query_row(
            "SELECT id FROM tasks WHERE name = ?1",
            [name.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    match holder {
        Some(id) if Some(TaskId(id)) != own => Err(StoreError::Duplicate {
            what: "task",
            name: name.to_string(),
        }),
        _ => Ok(()),
    }
}

fn check_pool(tx: &Transaction<'_>, name: &PoolName) -> Result<(), StoreError> {
    let pools = pools::list(tx)?;
    if pools.iter().any(|p| p.pool.name == *name) {
        return Ok(());
    }
    let known: Vec<&str> = pools.iter().map(|p| p.pool.name.as_str()).collect();
    Err(StoreError::UnknownPool {
        name: name.to_string(),
        known: known.join(", "),
    })
}

fn missing(name: &str) -> StoreError {
    StoreError::NotFound {
        what: "task",
        name: name.to_owned(),
    }
}
