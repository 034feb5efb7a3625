//! Why a request that fits the grammar is refused.
//!
//! Invariant: every reason says what is allowed instead, or where on the host that is decided.

use thiserror::Error;

use crate::error::Failure;
use crate::names::{PlainPath, Remote, Seconds, ServiceName, TargetName};

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// A verb for the host's own command line came over SSH.
    #[error("{0} is done only on the host, not over SSH")]
    OnlyOnTheHost(&'static str),
    /// On the host, but this program does not do it.
    #[error("{0} takes the place of a request and stands alone on the command line; see --help")]
    NotARequest(&'static str),
    /// Not in the allow-list.
    #[error("service '{service}' is not in the allow-list; {hint}")]
    UnknownService {
        /// The service.
        service: ServiceName,
        /// The way to mend it.
        hint: String,
    },
    /// Not in the allow-list.
    #[error("extra target '{target}' is not in the allow-list; {hint}")]
    UnknownTarget {
        /// The target.
        target: TargetName,
        /// The way to mend it.
        hint: String,
    },
    /// It runs the caller itself, or is simply never stopped.
    #[error("service '{0}' is copied while it runs and is never stopped or started from here")]
    NeverStopped(ServiceName),
    /// Another directory than the service's own.
    #[error("the path of service '{service}' is {expected}, not {asked}")]
    OtherPath {
        /// Whose.
        service: ServiceName,
        /// What was asked for.
        asked: PlainPath,
        /// What it is.
        expected: PlainPath,
    },
    /// Another remote or folder than those allowed.
    #[error("remote '{0}' is not allowed; the configuration on the host names those that are")]
    OtherRemote(Remote),
    /// Longer than allowed.
    #[error("--timeout {asked} is above the limit of {max} seconds for {verb}")]
    TimeoutAboveLimit {
        /// Of the request.
        asked: Seconds,
        /// Of the configuration.
        max: u32,
        /// Which action.
        verb: &'static str,
    },
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason.to_string())
    }
}
