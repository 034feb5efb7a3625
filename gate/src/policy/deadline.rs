//! The deadline of a request: the one that it brings, or the default of its verb.
//!
//! Invariant: a request gets no deadline above the limit of the configuration.

use std::time::Duration;

use super::reason::Reason;
use base::names::Seconds;
use config::Timeout;

/// Time limit for a complete examination of the host and its remotes.
pub(super) const LOOKING: Timeout = Timeout {
    default: 300,
    max: 300,
};

/// Time limit for bringing an archive back: an administrator asks for it, and may have to wait for a slow line.
pub(super) const FETCHING: Timeout = Timeout {
    default: 86_400,
    max: 9_999_999,
};

/// The deadline, unless the asked one is above the limit.
pub(super) fn bounded(
    verb: &'static str,
    asked: Option<Seconds>,
    limit: Timeout,
) -> Result<Duration, Reason> {
    let seconds = match asked {
        Some(asked) if asked.get() > limit.max => {
            return Err(Reason::TimeoutAboveLimit {
                asked,
                max: limit.max,
                verb,
            });
        }
        Some(asked) => asked.get(),
        None => limit.default,
    };
    Ok(Duration::from_secs(seconds.into()))
}
