//! Reasons for refusing a request that fits the grammar.
//!
//! Invariant: every reason names the allowed alternative, or the place on the host that decides.

use thiserror::Error;

use base::error::Failure;
use base::names::{PlainPath, Remote, Seconds, ServiceName, TargetName};

/// A reason for refusing a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// A verb for the host's own command line came over SSH.
    #[error("{0} is done only on the host, not over SSH")]
    OnlyOnTheHost(&'static str),
    /// A word that stands alone on the host's command line, and is not a request.
    #[error("{0} takes the place of a request and stands alone on the command line; see --help")]
    NotARequest(&'static str),
    /// The service is not in the allow-list.
    #[error("service '{service}' is not in the allow-list; {hint}")]
    UnknownService {
        /// The service.
        service: ServiceName,
        /// The way to fix it.
        hint: String,
    },
    /// The extra target is not in the allow-list.
    #[error("extra target '{target}' is not in the allow-list; {hint}")]
    UnknownTarget {
        /// The target.
        target: TargetName,
        /// The way to fix it.
        hint: String,
    },
    /// The service is never stopped; it may be the one that runs the caller.
    #[error("service '{0}' is copied while it runs and is never stopped or started from here")]
    NeverStopped(ServiceName),
    /// The path is not the service's own directory.
    #[error("the path of service '{service}' is {expected}, not {asked}")]
    OtherPath {
        /// The service.
        service: ServiceName,
        /// The path in the request.
        asked: PlainPath,
        /// The service's own path.
        expected: PlainPath,
    },
    /// The remote or folder is not one of the allowed ones.
    #[error("remote '{0}' is not allowed; the configuration on the host names those that are")]
    OtherRemote(Remote),
    /// The configuration allows rehearsals on the host only.
    #[error(
        "--rehearse over SSH is not allowed; set rehearsal.allowed = true in the configuration on the host"
    )]
    NoRehearsals,
    /// The timeout is longer than allowed.
    #[error("--timeout {asked} is above the limit of {max} seconds for {verb}")]
    TimeoutAboveLimit {
        /// The timeout in the request.
        asked: Seconds,
        /// The limit in the configuration.
        max: u32,
        /// The verb.
        verb: &'static str,
    },
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason.to_string())
    }
}
