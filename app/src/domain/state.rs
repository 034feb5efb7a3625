//! The states of runs and boxes, and their names in API and database.

/// The cause of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Its CRON expression came due.
    Schedule,
    /// A person or a program asked for it.
    Manual,
    /// Its CRON expression came due while the machine was off.
    CatchUp,
    /// A person or a program asked for the end of an earlier run once more.
    Retry,
}

impl Trigger {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Schedule, Self::Manual, Self::CatchUp, Self::Retry];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::CatchUp => "catch_up",
            Self::Retry => "retry",
        }
    }
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Created; none of its steps has started.
    Queued,
    /// A step has started and not all are finished.
    Running,
    /// No step failed and at least one succeeded.
    Success,
    /// A step failed.
    Failed,
    /// Nothing failed and nothing succeeded.
    Skipped,
    /// A person stopped it.
    Cancelled,
    /// The runner or the machine went down while it ran.
    Interrupted,
    /// It came due while it could not run; it has no boxes.
    Missed,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Success,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Interrupted,
        Self::Missed,
    ];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Missed => "missed",
        }
    }

    /// Reports if the run is finished.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// The state of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// An earlier step is not finished yet.
    Pending,
    /// It waits for a slot of its pool.
    Queued,
    /// Its command runs.
    Running,
    /// An attempt failed and the next one is due after a delay.
    Retrying,
    /// Exit code 0.
    Success,
    /// Exit code 75.
    Skipped,
    /// Anything else.
    Failed,
    /// Its run rule did not hold.
    NotRun,
    /// A person stopped it.
    Cancelled,
    /// The runner or the machine went down while it ran.
    Interrupted,
}

impl StepState {
    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Success => "success",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::NotRun => "not_run",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Reports if the state is final.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Queued | Self::Running | Self::Retrying => false,
            Self::Success
            | Self::Skipped
            | Self::Failed
            | Self::NotRun
            | Self::Cancelled
            | Self::Interrupted => true,
        }
    }
}

/// The kind of a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cancel {
    /// Stop the current step; `always` steps still run.
    Graceful,
    /// Stop everything, `always` steps included.
    Force,
}

impl Cancel {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Force => "force",
        }
    }
}
