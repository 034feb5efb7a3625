//! The newest facts of a task: its last success, and the last figures that its steps reported.
//!
//! Invariant: the transaction that ends a run writes them, so that they outlive the run and need no search.

use super::codec::{millis, optional_time};
use super::error::StoreError;
use super::runs::{count, read_count, read_mirror};
use super::set_aside::unless_unreadable;
use super::transaction::Tx;
use crate::domain::lifecycle::{Run, RunState};
use crate::domain::mirror::MirrorState;
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The newest facts of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFacts {
    /// Time of its last success.
    pub succeeded: Option<DateTime<Utc>>,
    /// Downtime of its service in milliseconds.
    pub down_ms: Option<u64>,
    /// Bytes of its newest archive.
    pub bytes: Option<u64>,
    /// The state of its mirror.
    pub mirror: Option<MirrorState>,
}

/// A run ended: keeps its success and the figures that it reported. Called in the transaction that saves its end.
pub fn run_ended(tx: &Tx<'_>, run: &Run) -> Result<(), StoreError> {
    let newest = |of: fn(&crate::domain::figure::Figures) -> Option<u64>| {
        run.steps.iter().rev().find_map(|step| of(&step.figures))
    };
    let mirror = run
        .steps
        .iter()
        .rev()
        .find_map(|step| step.figures.mirror.as_ref());
    tx.0.prepare_cached(
        "INSERT INTO task_facts (task_id, succeeded_at, down_ms, stored_bytes, mirror)
         SELECT id, ?2, ?3, ?4, ?5 FROM tasks WHERE id = ?1
         ON CONFLICT DO UPDATE SET succeeded_at = coalesce(excluded.succeeded_at, succeeded_at),
             down_ms = coalesce(excluded.down_ms, down_ms),
             stored_bytes = coalesce(excluded.stored_bytes, stored_bytes),
             mirror = coalesce(excluded.mirror, mirror)",
    )?
    .execute((
        run.task.0,
        run.finished_at
            .filter(|_| run.state == RunState::Success)
            .map(millis),
        count(newest(|figures| figures.down_ms)),
        count(newest(|figures| figures.bytes)),
        mirror.map(|mirror| mirror.to_json().to_string()),
    ))?;
    Ok(())
}

/// The facts of all tasks that have some.
pub fn all(tx: &Tx<'_>) -> Result<BTreeMap<TaskId, TaskFacts>, StoreError> {
    tx.0.prepare_cached("SELECT * FROM task_facts")?
        .query_and_then([], |row| {
            Ok((
                TaskId(row.get("task_id")?),
                TaskFacts {
                    succeeded: optional_time(row.get("succeeded_at")?)?,
                    down_ms: read_count(row, "down_ms")?,
                    bytes: read_count(row, "stored_bytes")?,
                    mirror: unless_unreadable("state of a mirror", read_mirror(row))?.flatten(),
                },
            ))
        })?
        .collect()
}
