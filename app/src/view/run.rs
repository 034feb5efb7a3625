//! Runs and their boxes on the wire.

use super::StepBody;
use super::rfc3339;
use crate::domain::figure::Warning;
use crate::domain::lifecycle::{Run, StepRun};
use crate::domain::mirror::{Completeness, MirrorState};
use crate::domain::proof::ProofState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Its number; larger is newer.
    pub id: i64,
    /// The task's name when the run was created.
    pub task: String,
    /// `schedule`, `manual`, `catch_up` or `retry`.
    pub trigger: String,
    /// The run of which it repeats the end.
    #[serde(default)]
    pub retry_of: Option<i64>,
    /// The fire time it stands for, RFC 3339.
    pub due: Option<String>,
    /// `queued`, `running`, `success`, `failed`, `skipped`, `cancelled`, `interrupted` or `missed`.
    pub state: String,
    /// Whether the run is over.
    pub finished: bool,
    /// Anything to say about the run as a whole.
    pub note: Option<String>,
    /// When it was created, RFC 3339.
    pub created_at: String,
    /// When its first step started.
    pub started_at: Option<String>,
    /// When it was over.
    pub finished_at: Option<String>,
    /// Milliseconds from its first step's start to its end.
    pub duration_ms: Option<i64>,
    /// Its boxes, in the order of the steps.
    pub steps: Vec<StepRunView>,
}

/// A box: one step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepRunView {
    /// From 0.
    pub position: usize,
    /// The step as it was when the run was created.
    #[serde(flatten)]
    pub step: StepBody,
    /// `pending`, `queued`, `running`, `retrying`, `success`, `skipped`, `failed`,
    /// `not_run`, `cancelled` or `interrupted`.
    pub state: String,
    /// The attempt that runs or ran last, from 1; 0 before the first.
    pub attempt: u32,
    /// Exit code of the last attempt.
    pub exit_code: Option<i32>,
    /// Why the box has its colour.
    pub reason: Option<String>,
    /// Milliseconds for which the service was down, where the step said so.
    pub down_ms: Option<u64>,
    /// Bytes of the archive that it stored, where it said so.
    pub stored_bytes: Option<u64>,
    /// Files in the mirror after it, where it said so.
    pub mirrored_files: Option<u64>,
    /// The state of the mirror after it, where it said so.
    #[serde(default)]
    pub mirror: Option<MirrorView>,
    /// The result of its rehearsal, where it made one.
    #[serde(default)]
    pub proof: Option<ProofView>,
    /// Warnings that it gave in lines `result: {json}`.
    #[serde(default)]
    pub warnings: Vec<WarningView>,
    /// When it began to wait for a slot, RFC 3339.
    pub queued_at: Option<String>,
    /// When its first attempt started.
    pub started_at: Option<String>,
    /// When it got its final colour.
    pub finished_at: Option<String>,
    /// Milliseconds from start to end.
    pub duration_ms: Option<i64>,
}

impl From<&Run> for RunView {
    fn from(run: &Run) -> Self {
        Self {
            id: run.id.0,
            task: run.task_name.to_string(),
            trigger: run.trigger.as_str().to_owned(),
            retry_of: run.retry_of.map(|run| run.0),
            due: run.due.map(rfc3339),
            state: run.state.as_str().to_owned(),
            finished: run.state.is_final(),
            note: run.note.clone(),
            created_at: rfc3339(run.created_at),
            started_at: run.started_at.map(rfc3339),
            finished_at: run.finished_at.map(rfc3339),
            duration_ms: run
                .started_at
                .zip(run.finished_at)
                .map(|(from, to)| (to - from).num_milliseconds()),
            steps: (0..)
                .zip(&run.steps)
                .map(|(i, s)| StepRunView::new(i, s))
                .collect(),
        }
    }
}

impl StepRunView {
    fn new(position: usize, step: &StepRun) -> Self {
        Self {
            position,
            step: StepBody::from(&step.step),
            state: step.state.as_str().to_owned(),
            attempt: step.attempt,
            exit_code: step.exit_code,
            reason: step.reason.clone(),
            down_ms: step.figures.down_ms,
            stored_bytes: step.figures.bytes,
            mirrored_files: step.figures.files,
            mirror: step.figures.mirror.as_ref().map(MirrorView::from),
            proof: step.figures.proof.as_deref().map(ProofView::from),
            warnings: step
                .figures
                .warnings
                .iter()
                .map(WarningView::from)
                .collect(),
            queued_at: step.queued_at.map(rfc3339),
            started_at: step.started_at.map(rfc3339),
            finished_at: step.finished_at.map(rfc3339),
            duration_ms: step
                .started_at
                .zip(step.finished_at)
                .map(|(from, to)| (to - from).num_milliseconds()),
        }
    }
}

/// The state of a mirror; a field is absent or null where the gate did not report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorView {
    /// The time of which the mirror holds all data, RFC 3339; null also before the first complete upload.
    #[serde(default)]
    pub complete_as_of: Option<String>,
    /// Files in the mirror.
    #[serde(default)]
    pub files: Option<u64>,
    /// Bytes in the mirror.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Bytes that the step uploaded.
    #[serde(default)]
    pub uploaded_bytes: Option<u64>,
    /// Bytes that are left for the next one.
    #[serde(default)]
    pub left_bytes: Option<u64>,
    /// The finished share of the upload.
    #[serde(default)]
    pub percent: Option<u64>,
}

impl From<&MirrorState> for MirrorView {
    fn from(state: &MirrorState) -> Self {
        let complete = match state.complete {
            Completeness::AsOf(time) => Some(rfc3339(time)),
            Completeness::Never | Completeness::Unknown => None,
        };
        Self {
            complete_as_of: complete,
            files: state.files,
            bytes: state.bytes,
            uploaded_bytes: state.uploaded_bytes,
            left_bytes: state.left_bytes,
            percent: state.percent,
        }
    }
}

/// The proof that a copy can be restored; a field is absent or null where the gate did not report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofView {
    /// The service.
    pub subject: String,
    /// `archive` or `mirror`.
    pub copy: String,
    /// The name of the archive, or the night of the mirror.
    pub name: String,
    /// When the rehearsal began, RFC 3339.
    pub at: String,
    /// True if no fault was found.
    pub proven: bool,
    /// The first fault.
    #[serde(default)]
    pub finding: Option<String>,
    /// The start test: `healthy`, `unhealthy` or `impossible`.
    #[serde(default)]
    pub started: Option<String>,
    /// The reason for no start test.
    #[serde(default)]
    pub reason: Option<String>,
    /// The share that was read, in percent.
    #[serde(default)]
    pub percent: Option<u64>,
    /// The share that was read together with the rehearsals before.
    #[serde(default)]
    pub covered: Option<u64>,
    /// Files with a compared digest.
    #[serde(default)]
    pub files: Option<u64>,
    /// Sound databases.
    #[serde(default)]
    pub databases: Option<u64>,
    /// Sound data folders of PostgreSQL.
    #[serde(default)]
    pub clusters: Option<u64>,
}

impl From<&ProofState> for ProofView {
    fn from(proof: &ProofState) -> Self {
        Self {
            subject: proof.subject.clone(),
            copy: proof.copy.clone(),
            name: proof.name.clone(),
            at: rfc3339(proof.at),
            proven: proof.proven,
            finding: proof.finding.clone(),
            started: proof.started.clone(),
            reason: proof.reason.clone(),
            percent: proof.percent,
            covered: proof.covered,
            files: proof.files,
            databases: proof.databases,
            clusters: proof.clusters,
        }
    }
}

/// A warning of a step: it may have succeeded, and an administrator should look at this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WarningView {
    /// The kind of warning, for programs.
    pub code: String,
    /// The service or extra target.
    pub subject: String,
    /// The sentence for people.
    pub message: String,
}

impl From<&Warning> for WarningView {
    fn from(warning: &Warning) -> Self {
        Self {
            code: warning.code.clone(),
            subject: warning.subject.clone(),
            message: warning.message.clone(),
        }
    }
}

/// Runs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunView>,
    /// Pass it as `before` to get the next page; absent on the last.
    pub next_before: Option<i64>,
}

/// A run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Triggered {
    /// Its number.
    pub run: i64,
}

/// Where to begin a retry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryBody {
    /// The name of the step to begin with; when absent the one that went wrong first.
    #[serde(default)]
    pub from: Option<String>,
}

/// How to cancel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Also stop and skip `always` steps.
    #[serde(default)]
    pub force: bool,
}
