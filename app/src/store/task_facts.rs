//! The newest facts of a task: its last success, and the last figures that its steps reported.
//!
//! Invariant: the transaction that ends a run writes them, so that they outlive the run and need no search.

use super::codec::{millis, optional_time};
use super::error::StoreError;
use super::runs::{count, read_count, read_mirror, read_proof};
use super::set_aside::unless_unreadable;
use super::transaction::Tx;
use crate::domain::lifecycle::{Run, RunState};
use crate::domain::mirror::MirrorState;
use crate::domain::proof::ProofState;
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
    /// The service or extra target that its steps reported about.
    pub subject: Option<String>,
    /// The newest result of a rehearsal of this service, by any task.
    pub proof: Option<ProofState>,
    /// The newest one without a fault.
    pub proved: Option<ProofState>,
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
    let steps = run.steps.iter().rev();
    let subject = steps.clone().find_map(|step| step.figures.subject.as_ref());
    let proof = steps.clone().find_map(|step| step.figures.proof.as_deref());
    let written = |proof: &ProofState| proof.to_json().to_string();
    tx.0.prepare_cached(
        "INSERT INTO task_facts (task_id, succeeded_at, down_ms, stored_bytes, mirror, subject, proof, proved)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM tasks WHERE id = ?1
         ON CONFLICT DO UPDATE SET succeeded_at = coalesce(excluded.succeeded_at, succeeded_at),
             down_ms = coalesce(excluded.down_ms, down_ms),
             stored_bytes = coalesce(excluded.stored_bytes, stored_bytes),
             mirror = coalesce(excluded.mirror, mirror), subject = coalesce(excluded.subject, subject),
             proof = coalesce(excluded.proof, proof), proved = coalesce(excluded.proved, proved)",
    )?
    .execute((
        run.task.0,
        run.finished_at
            .filter(|_| run.state == RunState::Success)
            .map(millis),
        count(newest(|figures| figures.down_ms)),
        count(newest(|figures| figures.bytes)),
        mirror.map(|mirror| mirror.to_json().to_string()),
        subject,
        proof.map(written),
        proof.filter(|proof| proof.proven).map(written),
    ))?;
    Ok(())
}

/// The facts of all tasks that have some. The tasks of one service share its newest proof.
pub fn all(tx: &Tx<'_>) -> Result<BTreeMap<TaskId, TaskFacts>, StoreError> {
    let mut facts = own(tx)?;
    let mut newest: BTreeMap<String, (Option<ProofState>, Option<ProofState>)> = BTreeMap::new();
    let newer = |one: &mut Option<ProofState>, other: &Option<ProofState>| {
        let at = |proof: &Option<ProofState>| proof.as_ref().map(|proof| proof.at);
        if at(other) > at(one) {
            one.clone_from(other);
        }
    };
    for facts in facts.values() {
        let of = |proof: &Option<ProofState>| proof.as_ref().map(|proof| proof.subject.clone());
        if let Some(subject) = of(&facts.proof).or_else(|| of(&facts.proved)) {
            let known = newest.entry(subject).or_default();
            newer(&mut known.0, &facts.proof);
            newer(&mut known.1, &facts.proved);
        }
    }
    for facts in facts.values_mut() {
        let subject = facts.subject.as_ref();
        if let Some((proof, proved)) = subject.and_then(|subject| newest.get(subject)) {
            facts.proof.clone_from(proof);
            facts.proved.clone_from(proved);
        }
    }
    Ok(facts)
}

/// The facts that each task's own steps reported.
fn own(tx: &Tx<'_>) -> Result<BTreeMap<TaskId, TaskFacts>, StoreError> {
    tx.0.prepare_cached("SELECT * FROM task_facts")?
        .query_and_then([], |row| {
            let text = |column| {
                row.get::<_, Option<String>>(column)
                    .map_err(StoreError::from)
            };
            Ok((
                TaskId(row.get("task_id")?),
                TaskFacts {
                    succeeded: optional_time(row.get("succeeded_at")?)?,
                    down_ms: read_count(row, "down_ms")?,
                    bytes: read_count(row, "stored_bytes")?,
                    mirror: unless_unreadable(
                        "state of a mirror",
                        text("mirror").and_then(read_mirror),
                    )?
                    .flatten(),
                    subject: row.get("subject")?,
                    proof: unless_unreadable("proof", text("proof").and_then(read_proof))?
                        .flatten(),
                    proved: unless_unreadable("proof", text("proved").and_then(read_proof))?
                        .flatten(),
                },
            ))
        })?
        .collect()
}
