//! Runs and their boxes in the database.

use super::codec::{
    DefinitionCache, corrupt, corrupt_fields, from_json, json, millis, optional_time, time,
};
use super::error::StoreError;
use super::set_aside::{readable, unless_unreadable};
use super::transaction::Tx;
use crate::domain::definition::StepBody;
use crate::domain::figure::{Figures, Warning};
use crate::domain::lifecycle::{Cancel, Run, RunId, RunState, StepRun, StepState, Trigger};
use crate::domain::mirror::MirrorState;
use crate::domain::names::TaskName;
use crate::domain::proof::ProofState;
use crate::domain::step::Step;
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, RowIndex, params_from_iter};
use std::collections::HashSet;

/// A choice of runs, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Runs of this task only.
    pub task: Option<TaskId>,
    /// Runs in this state only.
    pub state: Option<RunState>,
    /// Runs with this cause only.
    pub trigger: Option<Trigger>,
    /// Runs created at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Runs created before this time.
    pub to: Option<DateTime<Utc>>,
    /// Runs with a smaller number only, for paging.
    pub before: Option<RunId>,
    /// The largest number of results.
    pub limit: u32,
}

const SELECT: &str = "SELECT id, task_id, task_name, trigger, retry_of, due, state, cancel, interrupted, note, created_at, started_at, finished_at FROM runs";

const SELECT_BOXES: &str = "SELECT definition, state, attempt, exit_code, reason, queued_at, started_at, finished_at,
     down_ms, stored_bytes, mirrored_files, warnings, mirror, uncounted, proof FROM step_runs WHERE run_id = ?1 ORDER BY position";

/// The largest number a run ever had, also one removed long ago; 0 before the first.
pub fn last_id(tx: &Tx<'_>) -> Result<RunId, StoreError> {
    let seq: Option<i64> =
        tx.0.query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'runs'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(RunId(seq.unwrap_or(0)))
}

/// The numbers of all runs.
pub fn ids(tx: &Tx<'_>) -> Result<HashSet<i64>, StoreError> {
    Ok(tx
        .0
        .prepare("SELECT id FROM runs")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Adds a run with its boxes as they are.
///
/// # Errors
/// [`StoreError::AlreadyClaimed`] where the fire time has a run already.
pub fn insert(tx: &Tx<'_>, run: &Run) -> Result<(), StoreError> {
    let added = tx
        .0
        .prepare_cached(
            "INSERT INTO runs (id, task_id, task_name, trigger, due, state, cancel, interrupted, note, created_at, started_at, finished_at, retry_of)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
        )?
        .execute((
            run.id.0,
            run.task.0,
            run.task_name.as_str(),
            run.trigger.as_str(),
            run.due.map(millis),
            run.state.as_str(),
            run.cancel.map(Cancel::as_str),
            run.interrupted,
            &run.note,
            millis(run.created_at),
            run.started_at.map(millis),
            run.finished_at.map(millis),
            run.retry_of.map(|run| run.0),
        ))?;
    if added == 0 {
        return Err(StoreError::AlreadyClaimed);
    }
    let mut statement = tx.0.prepare_cached(
        "INSERT INTO step_runs (run_id, position, definition, state, attempt, queued_at, started_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (position, box_) in (0i64..).zip(&run.steps) {
        statement.execute((
            run.id.0,
            position,
            json("step", &StepBody::from(&box_.step))?,
            box_.state.as_str(),
            box_.attempt,
            box_.queued_at.map(millis),
            box_.started_at.map(millis),
        ))?;
    }
    save(tx, run)
}

/// Writes the state of a run and of its boxes; writing it twice does no harm.
pub fn save(tx: &Tx<'_>, run: &Run) -> Result<(), StoreError> {
    tx.0.prepare_cached(
        "UPDATE runs SET state = ?2, cancel = ?3, interrupted = ?4, note = ?5, started_at = ?6, finished_at = ?7
         WHERE id = ?1",
    )?
    .execute((
        run.id.0,
        run.state.as_str(),
        run.cancel.map(Cancel::as_str),
        run.interrupted,
        &run.note,
        run.started_at.map(millis),
        run.finished_at.map(millis),
    ))?;
    // Boxes that did not change are left alone, so that a commit writes few pages.
    let mut statement = tx.0.prepare_cached(
        "UPDATE step_runs SET state = ?3, attempt = ?4, exit_code = ?5, reason = ?6, queued_at = ?7,
         started_at = ?8, finished_at = ?9, down_ms = ?10, stored_bytes = ?11, mirrored_files = ?12, warnings = ?13, mirror = ?14,
         uncounted = ?15, proof = ?16
         WHERE run_id = ?1 AND position = ?2 AND (state <> ?3 OR attempt <> ?4 OR finished_at IS NOT ?9)",
    )?;
    for (position, box_) in (0i64..).zip(&run.steps) {
        statement.execute((
            run.id.0,
            position,
            box_.state.as_str(),
            box_.attempt,
            box_.exit_code,
            &box_.reason,
            box_.queued_at.map(millis),
            box_.started_at.map(millis),
            box_.finished_at.map(millis),
            count(box_.figures.down_ms),
            count(box_.figures.bytes),
            count(box_.figures.files),
            written_warnings(&box_.figures.warnings)?,
            box_.figures
                .mirror
                .as_ref()
                .map(|mirror| mirror.to_json().to_string()),
            box_.uncounted,
            box_.figures
                .proof
                .as_ref()
                .map(|proof| proof.to_json().to_string()),
        ))?;
    }
    Ok(())
}

/// The run of that number with its boxes.
///
/// # Errors
/// [`StoreError::NotFound`] where there was none, [`StoreError::RemovedRun`] where there is none any more.
pub fn get(tx: &Tx<'_>, id: RunId) -> Result<Run, StoreError> {
    let found =
        tx.0.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
            .query_and_then([id.0], |row| read(tx, row))?
            .next();
    match found {
        Some(run) => run,
        None if 0 < id.0 && id <= last_id(tx)? => Err(StoreError::RemovedRun(id.0)),
        None => Err(StoreError::NotFound {
            what: "run",
            name: id.0.to_string(),
        }),
    }
}

/// Runs with their boxes, newest first.
pub fn list(tx: &Tx<'_>, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
    let mut sql = format!("{SELECT} WHERE 1");
    let mut values: Vec<Value> = Vec::new();
    let text = |text: &str| Value::from(text.to_owned());
    for (condition, value) in [
        ("task_id =", query.task.map(|task| task.0.into())),
        ("state =", query.state.map(|state| text(state.as_str()))),
        ("trigger =", query.trigger.map(|one| text(one.as_str()))),
        ("created_at >=", query.from.map(|from| millis(from).into())),
        ("created_at <", query.to.map(|to| millis(to).into())),
        ("id <", query.before.map(|before| before.0.into())),
    ] {
        if let Some(value) = value {
            values.push(value);
            sql.push_str(&format!(" AND {condition} ?{}", values.len()));
        }
    }
    values.push(i64::from(query.limit).into());
    sql.push_str(&format!(" ORDER BY id DESC LIMIT ?{}", values.len()));
    let mut statement = tx.0.prepare_cached(&sql)?;
    let rows = statement.query_and_then(params_from_iter(values), |row| read(tx, row))?;
    readable("run", rows)
}

/// Removes a run that is over; its logs are the caller's to remove.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::InUse`] while it is not finished.
pub fn remove(tx: &Tx<'_>, id: RunId) -> Result<(), StoreError> {
    if !get(tx, id)?.state.is_final() {
        return Err(StoreError::InUse(format!(
            "run {} is not over; wait for it or cancel it first",
            id.0
        )));
    }
    tx.0.execute("DELETE FROM runs WHERE id = ?1", [id.0])?;
    Ok(())
}

/// The unfinished run of a task with its state, if any.
pub fn running(tx: &Tx<'_>, task: TaskId) -> Result<Option<(RunId, RunState)>, StoreError> {
    tx.0.prepare_cached(
        "SELECT id, state FROM runs INDEXED BY runs_unfinished
         WHERE task_id = ?1 AND state IN ('queued', 'running') ORDER BY id LIMIT 1",
    )?
    .query_and_then([task.0], |row| {
        let state: String = row.get(1)?;
        Ok((RunId(row.get(0)?), run_state(&state)?))
    })?
    .next()
    .transpose()
}

/// The run of a task that people ask for: the one that goes on, else the newest that did run. A missed fire time is
/// no run.
pub fn last(tx: &Tx<'_>, task: TaskId) -> Result<Option<Run>, StoreError> {
    let running = running(tx, task)?;
    let last = match running {
        Some((run, _)) => Some(run),
        None => newest_finished(tx, task)?,
    };
    last.map_or(Ok(None), |run| unless_unreadable("run", get(tx, run)))
}

/// Ends the unfinished runs that cannot be read, so that their tasks can run again; `readable` are the others.
pub fn abandon(tx: &Tx<'_>, readable: &[RunId], now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut statement =
        tx.0.prepare("SELECT id FROM runs WHERE state IN ('queued', 'running')")?;
    let all = statement
        .query_map([], |row| row.get(0).map(RunId))?
        .collect::<Result<Vec<_>, _>>()?;
    for run in all.iter().filter(|run| !readable.contains(run)) {
        tx.0.execute(
            "UPDATE runs SET state = 'interrupted', interrupted = 1, finished_at = ?2 WHERE id = ?1",
            (run.0, millis(now)),
        )?;
    }
    Ok(())
}

/// The newest run of a task that is over and did run; none where it cannot be read.
pub fn last_finished(tx: &Tx<'_>, task: TaskId) -> Result<Option<Run>, StoreError> {
    newest_finished(tx, task)?.map_or(Ok(None), |run| unless_unreadable("run", get(tx, run)))
}

fn newest_finished(tx: &Tx<'_>, task: TaskId) -> Result<Option<RunId>, StoreError> {
    Ok(tx
        .0
        .prepare_cached(
            "SELECT id FROM runs INDEXED BY runs_finished
             WHERE task_id = ?1 AND state NOT IN ('queued', 'running', 'missed') ORDER BY id DESC LIMIT 1",
        )?
        .query_row([task.0], |row| row.get(0).map(RunId))
        .optional()?)
}

/// The newest runs of a task, newest first. The unfinished one is always among them, however many fire times it missed.
pub fn newest(tx: &Tx<'_>, task: TaskId, limit: u32) -> Result<Vec<Run>, StoreError> {
    let mut runs = list(
        tx,
        &RunQuery {
            task: Some(task),
            limit,
            ..RunQuery::default()
        },
    )?;
    if let Some((running, _)) = running(tx, task)?
        && !runs.iter().any(|run| run.id == running)
    {
        runs.pop();
        runs.extend(unless_unreadable("run", get(tx, running))?);
    }
    Ok(runs)
}

/// Runs that were not over when the runner last went down, oldest first.
pub fn unfinished(tx: &Tx<'_>) -> Result<Vec<Run>, StoreError> {
    let sql = format!("{SELECT} WHERE state IN ('queued', 'running') ORDER BY id");
    let mut statement = tx.0.prepare(&sql)?;
    readable("run", statement.query_and_then([], |row| read(tx, row))?)
}

/// Reads the columns of [`SELECT`] by their places.
fn read(tx: &Tx<'_>, row: &Row<'_>) -> Result<Run, StoreError> {
    let id = RunId(row.get(0)?);
    let mut statement = tx.0.prepare_cached(SELECT_BOXES)?;
    let steps = statement
        .query_and_then([id.0], read_box)?
        .collect::<Result<Vec<_>, _>>()?;
    let state: String = row.get(6)?;
    let trigger: String = row.get(3)?;
    let cancel: Option<String> = row.get(7)?;
    Ok(Run {
        id,
        task: TaskId(row.get(1)?),
        task_name: TaskName::new(row.get::<_, String>(2)?).map_err(corrupt("task name"))?,
        trigger: known(&Trigger::ALL, |t| t.as_str(), "trigger", &trigger)?,
        retry_of: row.get::<_, Option<i64>>(4)?.map(RunId),
        due: optional_time(row.get(5)?)?,
        state: run_state(&state)?,
        cancel: cancel
            .map(|c| known(CANCELS, |k| k.as_str(), "cancel", &c))
            .transpose()?,
        interrupted: row.get(8)?,
        note: row.get(9)?,
        created_at: time(row.get(10)?)?,
        started_at: optional_time(row.get(11)?)?,
        finished_at: optional_time(row.get(12)?)?,
        steps,
    })
}

/// A figure as SQLite keeps it; one beyond its range is no real downtime or size.
pub(super) fn count(figure: Option<u64>) -> Option<i64> {
    figure.and_then(|figure| i64::try_from(figure).ok())
}

/// Reads a figure back.
pub(super) fn read_count(row: &Row<'_>, column: impl RowIndex) -> Result<Option<u64>, StoreError> {
    let figure: Option<i64> = row.get(column)?;
    Ok(figure.and_then(|figure| u64::try_from(figure).ok()))
}

/// Warnings as a JSON array; NULL where there are none.
fn written_warnings(warnings: &[Warning]) -> Result<Option<String>, StoreError> {
    if warnings.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(warnings)
        .map(Some)
        .map_err(corrupt("warnings"))
}

fn read_warnings(text: Option<String>) -> Result<Vec<Warning>, StoreError> {
    text.map_or(Ok(Vec::new()), |text| {
        serde_json::from_str(&text).map_err(corrupt("warnings"))
    })
}

/// The state of a mirror in a column.
pub(super) fn read_mirror(text: Option<String>) -> Result<Option<MirrorState>, StoreError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let fields = serde_json::from_str(&text).map_err(corrupt("mirror"))?;
    Ok(Some(MirrorState::from_json(&fields)))
}

/// The proof in a column.
pub(super) fn read_proof(text: Option<String>) -> Result<Option<ProofState>, StoreError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let fields = serde_json::from_str(&text).map_err(corrupt("proof"))?;
    Ok(ProofState::from_json(&fields))
}

/// Reads the columns of [`SELECT_BOXES`] by their places: a name is compared with the names of all columns before it.
fn read_box(row: &Row<'_>) -> Result<StepRun, StoreError> {
    let state: String = row.get(1)?;
    let column = row.get_ref(0)?;
    let definition = column.as_str().map_err(corrupt("step"))?;
    Ok(StepRun {
        step: STEPS.with(|kept| kept.get(definition, read_step))?,
        state: known(STEP_STATES, |s| s.as_str(), "step state", &state)?,
        attempt: row.get(2)?,
        uncounted: row.get(13)?,
        exit_code: row.get(3)?,
        reason: row.get(4)?,
        figures: Figures {
            down_ms: read_count(row, 8)?,
            bytes: read_count(row, 9)?,
            files: read_count(row, 10)?,
            mirror: read_mirror(row.get(12)?)?,
            proof: read_proof(row.get(14)?)?.map(Box::new),
            subject: None,
            warnings: read_warnings(row.get(11)?)?,
        },
        queued_at: optional_time(row.get(5)?)?,
        started_at: optional_time(row.get(6)?)?,
        finished_at: optional_time(row.get(7)?)?,
    })
}

thread_local! {
    static STEPS: DefinitionCache<Step> = DefinitionCache::new();
}

fn read_step(definition: &str) -> Result<Step, StoreError> {
    let body: StepBody = from_json("step", definition)?;
    Step::try_from(&body).map_err(corrupt_fields("step"))
}

const CANCELS: &[Cancel] = &[Cancel::Graceful, Cancel::Force];
const STEP_STATES: &[StepState] = &[
    StepState::Pending,
    StepState::Queued,
    StepState::Running,
    StepState::Retrying,
    StepState::Success,
    StepState::Skipped,
    StepState::Failed,
    StepState::NotRun,
    StepState::Cancelled,
    StepState::Interrupted,
];

/// The state of that name.
pub(super) fn run_state(text: &str) -> Result<RunState, StoreError> {
    known(&RunState::ALL, |s| s.as_str(), "run state", text)
}

/// Finds the value that prints as `text`.
fn known<T: Copy>(
    all: &[T],
    print: impl Fn(T) -> &'static str,
    what: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    all.iter()
        .copied()
        .find(|value| print(*value) == text)
        .ok_or_else(|| corrupt(what)(text))
}
