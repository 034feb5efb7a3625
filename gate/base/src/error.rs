//! Every failure, and the one table from failures to exit codes.
//!
//! Invariant: every way to fail has exactly one status, found by an exhaustive `match`;
//! 75 is not among them, because the runner paints it as "skipped".

pub mod trouble;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::names::ServiceName;
use crate::progress::Cause;
use trouble::Trouble;

/// The exit statuses of the contract, named after sysexits(3) where that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// The action was done.
    Done = 0,
    /// `EX_USAGE`: the line does not fit the grammar.
    Usage = 64,
    /// `EX_DATAERR`: data that was read, packed or stored is wrong.
    BadData = 65,
    /// `EX_UNAVAILABLE`: a tool, a service or the remote did not do its part.
    Unavailable = 69,
    /// `EX_SOFTWARE`: the gate itself failed.
    Internal = 70,
    /// `EX_CANTCREAT`: no space.
    CannotCreate = 73,
    /// `EX_PROTOCOL`: a change that would destroy a copy was refused.
    Unsafe = 76,
    /// `EX_NOPERM`: the line fits the grammar and policy says no.
    Refused = 77,
    /// `EX_CONFIG`: the configuration is missing, wrong or writable by others.
    Config = 78,
    /// As timeout(1): the deadline passed.
    TimedOut = 124,
}

impl ExitStatus {
    /// The number a shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The reason for ending an action before its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The deadline given by `--timeout` or the configuration.
    DeadlinePassed,
    /// Our standard output has no reader any more: the ssh client is gone.
    PeerGone,
    /// SIGTERM, SIGINT or SIGHUP.
    Signalled,
    /// A `--start` of the same service is waiting, and the service comes first.
    Preempted,
}

impl std::fmt::Display for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DeadlinePassed => {
                "timed out; give it a longer --timeout, or find out what it waited for"
            }
            Self::PeerGone => "cancelled, because the ssh client went away",
            Self::Signalled => "cancelled by a signal",
            Self::Preempted => "cancelled, because --start of the same service was asked for",
        })
    }
}

/// Every way a command of the gate can end badly.
#[derive(Debug, Error)]
pub enum Failure {
    /// The line is not in the grammar.
    #[error("{0}")]
    Usage(String),
    /// The forced command was run without a request.
    #[error(
        "no request: SSH_ORIGINAL_COMMAND is unset or empty; send one as in `ssh HOST backupctl --stop SERVICE`, and let sudo keep the variable (env_keep)"
    )]
    NoRequest,
    /// The line is in the grammar; policy refuses it.
    #[error("refused: {0}")]
    Denied(String),
    /// The configuration cannot be used.
    #[error("configuration: {0}")]
    Config(String),
    /// The deadline, the peer, a signal or a `--start` ended the action.
    #[error("{what}: {cause}")]
    Interrupted {
        /// The work at that moment.
        what: String,
        /// The reason.
        cause: Interrupt,
    },
    /// The deadline passed while the remote was waited for.
    #[error(
        "{what}: the deadline passed while waiting ({}); run it again later, and if this comes back lower rclone.tpslimit or give it a longer --timeout", cause.as_str()
    )]
    TimedOutWaiting {
        /// The work that stood still.
        what: String,
        /// The reason for waiting.
        cause: Cause,
    },
    /// A program that the action needs is not there.
    #[error(
        "{program} cannot be run ({source}); install it, or correct its path in the configuration"
    )]
    ToolMissing {
        /// Absolute path.
        program: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program ended with an error of its own.
    #[error("{what} failed: {detail}")]
    Tool {
        /// The program's work.
        what: String,
        /// The way it ended, and its last words.
        detail: String,
    },
    /// The remote did not do its part, for a reason that was recognised.
    #[error("{what}: {trouble} ({detail})")]
    Remote {
        /// The work at that moment.
        what: String,
        /// The reason, and the next step.
        trouble: Trouble,
        /// The way rclone ended, and its last words.
        detail: String,
    },
    /// The source or a place of the gate's own is not a real directory reached without links.
    #[error("{path}: {detail}")]
    Path {
        /// The directory.
        path: PathBuf,
        /// The fault, and the next step.
        detail: String,
    },
    /// Nothing to copy: mirroring it would empty the copy.
    #[error("{0} is empty, and an empty source would wipe its copy; nothing was changed")]
    EmptySource(PathBuf),
    /// A sync would change too much of the mirror.
    #[error(
        "this sync was refused: {dangers}. The comparison found {change}. Nothing was changed; if this is right, run `{approve}` on the host, and then sync again"
    )]
    UnsafeChange {
        /// The limits that would be exceeded.
        dangers: String,
        /// The numbers that the comparison found.
        change: String,
        /// The command by which an administrator approves it.
        approve: String,
    },
    /// There were more files to delete than when source and mirror were compared.
    #[error(
        "{0}: more files were missing from the source than shortly before, when it was compared with the mirror; the sync was stopped, and what it had deleted is in .versions"
    )]
    VanishedMeanwhile(String),
    /// There is no refused sync that could be approved.
    #[error(
        "no sync of {0} was refused since the last one that went through, and its old copies are pruned; there is nothing to approve"
    )]
    NothingToApprove(String),
    /// The directory changed its identity between opening and reading.
    #[error("{0} was replaced while it was being opened; nothing was copied")]
    SourceReplaced(PathBuf),
    /// Not enough room for the spool, or the remote is full.
    #[error("no space: {0}")]
    NoSpace(String),
    /// Files changed while the archive was being made.
    #[error("these files changed while they were archived, so the archive is not kept: {0}")]
    Changed(String),
    /// Written data does not read back unchanged.
    #[error("verification failed: {0}")]
    Verification(String),
    /// Something lies where a restore would put things.
    #[error("{0} is not empty; name a directory that does not exist yet, or an empty one")]
    TargetTaken(PathBuf),
    /// There is no such archive.
    #[error("{0}")]
    NoArchive(String),
    /// No remote would take a backup, so there is nothing to stop a service for.
    #[error("{service} is not stopped, because no remote would take its backup: {words}")]
    NoRemote {
        /// The service, which is up.
        service: ServiceName,
        /// The reason of each remote.
        words: String,
        /// That of the remotes.
        status: ExitStatus,
    },
    /// Too many requests wait already.
    #[error("{0} requests wait already, as many as limits.waiting allows; ask again later")]
    Crowded(u32),
    /// `--doctor` found something that does not work.
    #[error("{words}; each FAIL above says what mends it")]
    Unwell {
        /// The number of each verdict.
        words: String,
        /// Configuration, or another exit code.
        status: ExitStatus,
    },
    /// An operation of the gate's own failed.
    #[error("{what}: {source}")]
    Io {
        /// The attempt.
        what: String,
        /// The system's error.
        source: io::Error,
    },
}

impl Failure {
    /// The one table from failure to exit status.
    #[must_use]
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::Usage(_) | Self::NoRequest => ExitStatus::Usage,
            Self::Denied(_) => ExitStatus::Refused,
            Self::Config(_) => ExitStatus::Config,
            Self::Interrupted { cause, .. } => match cause {
                Interrupt::DeadlinePassed => ExitStatus::TimedOut,
                Interrupt::PeerGone | Interrupt::Signalled | Interrupt::Preempted => {
                    ExitStatus::Unavailable
                }
            },
            Self::TimedOutWaiting { .. } => ExitStatus::TimedOut,
            Self::ToolMissing { .. }
            | Self::Tool { .. }
            | Self::Remote { .. }
            | Self::NothingToApprove(_)
            | Self::Crowded(_)
            | Self::NoArchive(_)
            | Self::Path { .. } => ExitStatus::Unavailable,
            Self::EmptySource(_)
            | Self::UnsafeChange { .. }
            | Self::VanishedMeanwhile(_)
            | Self::SourceReplaced(_)
            | Self::TargetTaken(_) => ExitStatus::Unsafe,
            Self::NoSpace(_) => ExitStatus::CannotCreate,
            Self::Changed(_) | Self::Verification(_) => ExitStatus::BadData,
            Self::Unwell { status, .. } | Self::NoRemote { status, .. } => *status,
            Self::Io { source, .. } => match source.raw_os_error() {
                Some(code) if code == nix::libc::ENOSPC || code == nix::libc::EDQUOT => {
                    ExitStatus::CannotCreate
                }
                _ => ExitStatus::Internal,
            },
        }
    }

    /// An [`io::Error`] with the sentence that names the attempt.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// As [`Failure::io`], for errors of nix.
    pub fn errno(what: impl Into<String>) -> impl FnOnce(nix::Error) -> Self {
        let what = what.into();
        move |errno| Self::Io {
            what,
            source: errno.into(),
        }
    }
}
