//! Tasks and their steps in the database, and the claim of a fire time.

use super::codec::{DefinitionCache, corrupt, corrupt_fields, from_json, json, millis, time};
use super::error::StoreError;
use super::pools;
use super::set_aside::readable;
use super::transaction::Tx;
use crate::domain::cron::CronExpr;
use crate::domain::definition::TaskBody;
use crate::domain::names::{PoolName, TaskName};
use crate::domain::task::{MissedPolicy, Task, TaskId};
use crate::zones::Zone;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row};

/// A task with its number.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTask {
    /// Its number.
    pub id: TaskId,
    /// Its definition.
    pub task: Task,
    /// True for a task that the server made for itself.
    pub own: bool,
}

/// The schedule of a task that fires by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Fire {
    /// The task.
    pub id: TaskId,
    /// Its name, for the log.
    pub name: TaskName,
    /// Its CRON expression.
    pub cron: CronExpr,
    /// The zone of its own, if any.
    pub zone: Option<Zone>,
    /// The policy for missed fires.
    pub on_missed: MissedPolicy,
    /// Fires up to and including this time are handled.
    pub scheduled_through: DateTime<Utc>,
}

const SELECT: &str = "SELECT id, auto, own, definition FROM tasks";

/// Tasks by name.
pub fn list(tx: &Tx<'_>) -> Result<Vec<StoredTask>, StoreError> {
    let mut statement = tx.0.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
    readable("task", statement.query_and_then([], read)?)
}

/// A task whose definition cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct DamagedTask {
    /// Its number.
    pub id: TaskId,
    /// Its name.
    pub name: String,
    /// The problem.
    pub why: String,
    /// The definition as far as it is one, to be repaired.
    pub definition: Option<TaskBody>,
}

/// The tasks whose definition cannot be read, by name.
pub fn damaged(tx: &Tx<'_>) -> Result<Vec<DamagedTask>, StoreError> {
    let mut statement =
        tx.0.prepare_cached("SELECT id, auto, own, definition, name FROM tasks ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(damage(row)?);
    }
    Ok(found)
}

/// The damaged task of that name; none where there is no such task, or where it can be read.
pub fn damaged_by_name(tx: &Tx<'_>, name: &str) -> Result<Option<DamagedTask>, StoreError> {
    Ok(damaged(tx)?.into_iter().find(|task| task.name == name))
}

fn damage(row: &Row<'_>) -> Result<Option<DamagedTask>, StoreError> {
    let why = match read(row) {
        Err(error) if error.is_unreadable() => error.to_string(),
        Err(error) => return Err(error),
        Ok(_) => return Ok(None),
    };
    let definition = row
        .get::<_, String>("definition")
        .ok()
        .and_then(|text| from_json("task", &text).ok());
    Ok(Some(DamagedTask {
        id: TaskId(row.get("id")?),
        name: row.get("name")?,
        why,
        definition,
    }))
}

/// The task of that number.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub fn get(tx: &Tx<'_>, id: TaskId) -> Result<StoredTask, StoreError> {
    tx.0.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
        .query_and_then([id.0], read)?
        .next()
        .unwrap_or_else(|| Err(missing(&id.0.to_string())))
}

/// The task of that name.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none.
pub fn by_name(tx: &Tx<'_>, name: &str) -> Result<StoredTask, StoreError> {
    tx.0.prepare_cached(&format!("{SELECT} WHERE name = ?1"))?
        .query_and_then([name], read)?
        .next()
        .unwrap_or_else(|| Err(missing(name)))
}

/// Reads the columns of [`SELECT`] by their places.
fn read(row: &Row<'_>) -> Result<StoredTask, StoreError> {
    let column = row.get_ref(3)?;
    let definition = column.as_str().map_err(corrupt("task"))?;
    let mut task = TASKS.with(|kept| kept.get(definition, read_task))?;
    // The column alone is changed when all schedules are paused.
    task.auto = row.get(1)?;
    Ok(StoredTask {
        id: TaskId(row.get(0)?),
        task,
        own: row.get(2)?,
    })
}

thread_local! {
    static TASKS: DefinitionCache<Task> = DefinitionCache::new();
}

fn read_task(definition: &str) -> Result<Task, StoreError> {
    let body: TaskBody = from_json("task", definition)?;
    Task::try_from(&body).map_err(corrupt_fields("task"))
}

/// Adds a task; its fires count from `now`.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken, [`StoreError::UnknownPool`]
/// where the pool does not exist.
pub fn insert(tx: &Tx<'_>, task: &Task, now: DateTime<Utc>) -> Result<TaskId, StoreError> {
    check_name(tx, &task.name, None)?;
    check_pool(tx, &task.pool)?;
    tx.0.execute(
        "INSERT INTO tasks (name, cron, zone, pool, auto, definition, scheduled_through, watched_from, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7, ?7)",
        (
            task.name.as_str(),
            task.cron.as_ref().map(ToString::to_string),
            task.zone.map(|z| z.name()),
            task.pool.as_str(),
            task.auto,
            json("task", &TaskBody::from(task))?,
            millis(now),
        ),
    )?;
    let id = TaskId(tx.0.last_insert_rowid());
    Ok(id)
}

/// Marks a task as one that the server made for itself.
pub fn mark_own(tx: &Tx<'_>, id: TaskId) -> Result<(), StoreError> {
    tx.0.execute("UPDATE tasks SET own = 1 WHERE id = ?1", [id.0])?;
    Ok(())
}

/// Reports if the server made the task for itself.
pub fn is_own(tx: &Tx<'_>, id: TaskId) -> Result<bool, StoreError> {
    let own =
        tx.0.prepare_cached("SELECT own FROM tasks WHERE id = ?1")?
            .query_row([id.0], |row| row.get(0))
            .optional()?;
    Ok(own.unwrap_or(false))
}

/// Replaces the definition of a task. Where its schedule changes, or it is switched
/// on, its fires count from `now`, so that no earlier fire is caught up.
///
/// # Errors
/// As [`insert`], and [`StoreError::NotFound`] where the task does not exist.
pub fn update(tx: &Tx<'_>, id: TaskId, task: &Task, now: DateTime<Utc>) -> Result<(), StoreError> {
    let old = match get(tx, id) {
        Ok(old) => Some(old.task),
        // A damaged task is repaired by a new definition.
        Err(error) if error.is_unreadable() => None,
        Err(error) => return Err(error),
    };
    check_name(tx, &task.name, Some(id))?;
    check_pool(tx, &task.pool)?;
    tx.0.execute(
        "UPDATE tasks SET name = ?2, cron = ?3, zone = ?4, pool = ?5, auto = ?6,
         paused = paused AND NOT ?6, paused_until = CASE WHEN ?6 THEN NULL ELSE paused_until END, definition = ?7, updated_at = ?8 WHERE id = ?1",
        (
            id.0,
            task.name.as_str(),
            task.cron.as_ref().map(ToString::to_string),
            task.zone.map(|z| z.name()),
            task.pool.as_str(),
            task.auto,
            json("task", &TaskBody::from(task))?,
            millis(now),
        ),
    )?;
    let same = old.is_some_and(|old| {
        old.cron == task.cron && old.zone == task.zone && (old.auto || !task.auto)
    });
    if !same {
        reschedule(tx, id, now)?;
    }
    Ok(())
}

/// Switches Auto on or off.
///
/// # Errors
/// [`StoreError::NotFound`] where the task does not exist.
pub fn set_auto(tx: &Tx<'_>, id: TaskId, auto: bool, now: DateTime<Utc>) -> Result<(), StoreError> {
    let was = get(tx, id)?.task.auto;
    tx.0.execute(
        "UPDATE tasks SET auto = ?2, paused = 0, paused_until = NULL, updated_at = ?3 WHERE id = ?1",
        (id.0, auto, millis(now)),
    )?;
    if auto && !was {
        reschedule(tx, id, now)?;
    }
    Ok(())
}

/// Declares all fires of a task up to `through` dealt with; it is expected to succeed from then on.
pub fn reschedule(tx: &Tx<'_>, id: TaskId, through: DateTime<Utc>) -> Result<(), StoreError> {
    tx.0.execute(
        "UPDATE tasks SET scheduled_through = ?2, watched_from = ?2 WHERE id = ?1",
        (id.0, millis(through)),
    )?;
    Ok(())
}

/// The default time zone changed: treats all fires up to `through`, computed in the old zone, as handled.
pub fn change_zone(tx: &Tx<'_>, through: DateTime<Utc>) -> Result<(), StoreError> {
    tx.0.execute(
        "UPDATE tasks SET scheduled_through = ?1 WHERE zone IS NULL AND scheduled_through < ?1",
        [millis(through)],
    )?;
    Ok(())
}

/// Claims a fire time: succeeds once.
///
/// # Errors
/// [`StoreError::AlreadyClaimed`] where it, or a later one, was dealt with.
pub fn claim(tx: &Tx<'_>, id: TaskId, due: DateTime<Utc>) -> Result<(), StoreError> {
    let changed =
        tx.0.prepare_cached(
            "UPDATE tasks SET scheduled_through = ?2 WHERE id = ?1 AND scheduled_through < ?2",
        )?
        .execute((id.0, millis(due)))?;
    if changed == 0 {
        return Err(StoreError::AlreadyClaimed);
    }
    Ok(())
}

/// Removes a task with its runs; returns the numbers of the runs. The caller removes their logs.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::InUse`] while a run is not finished.
pub fn delete(tx: &Tx<'_>, id: TaskId) -> Result<Vec<i64>, StoreError> {
    let name: Option<String> =
        tx.0.query_row("SELECT name FROM tasks WHERE id = ?1", [id.0], |row| {
            row.get(0)
        })
        .optional()?;
    let name = name.ok_or_else(|| missing(&id.0.to_string()))?;
    let active =
        tx.0.query_row(
            "SELECT id FROM runs WHERE task_id = ?1 AND state IN ('queued', 'running')",
            [id.0],
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    if let Some(run) = active {
        return Err(StoreError::InUse(format!(
            "run {run} of the task {name:?} goes on; cancel it first"
        )));
    }
    let runs =
        tx.0.prepare("SELECT id FROM runs WHERE task_id = ?1")?
            .query_map([id.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
    tx.0.execute("DELETE FROM tasks WHERE id = ?1", [id.0])?;
    Ok(runs)
}

/// The tasks that fire by themselves. One that cannot be read is reported and left out, so that
/// the other schedules are followed.
pub fn fires(tx: &Tx<'_>) -> Result<Vec<Fire>, StoreError> {
    let mut statement = tx.0.prepare_cached(
        "SELECT id, auto, own, definition, scheduled_through FROM tasks
         WHERE auto = 1 AND cron IS NOT NULL ORDER BY id",
    )?;
    let rows = statement.query_and_then([], |row| {
        let StoredTask { id, task, .. } = read(row)?;
        Ok(Fire {
            id,
            name: task.name,
            cron: task.cron.ok_or_else(|| corrupt("cron")("absent"))?,
            zone: task.zone,
            on_missed: task.on_missed,
            scheduled_through: time(row.get("scheduled_through")?)?,
        })
    })?;
    readable("schedule", rows)
}

fn check_name(tx: &Tx<'_>, name: &TaskName, own: Option<TaskId>) -> Result<(), StoreError> {
    let holder: Option<i64> =
        tx.0.query_row(
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

fn check_pool(tx: &Tx<'_>, name: &PoolName) -> Result<(), StoreError> {
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
