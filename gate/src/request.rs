//! Words → [`Request`], and back.
//!
//! Invariant: `parse(print(r)) == r` for every request, and a line that does not parse has no effect. Options come in
//! any order, each once, in full; there are no unknown options, and there is one verb.

mod error;
mod host;
mod inner_path;
mod option;
pub mod table;
mod typed;
mod value;

use std::fmt;

pub use host::{HostVerb, Target};
pub use inner_path::{InnerPath, take_inner_paths};

use base::names::{Count, PlainPath, Remote, Seconds, ServiceName, TargetName};
use base::wire;
pub use error::{PROGRAM, ParseError};
use typed::Typed;

/// A request of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `--stop SVC`
    Stop {
        /// The service.
        service: ServiceName,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--start SVC`
    Start {
        /// The service.
        service: ServiceName,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--sync SVC --path P --remote R`
    Sync {
        /// The service that owns the data.
        service: ServiceName,
        /// The path of the data, according to the caller.
        path: PlainPath,
        /// The destination.
        remote: Remote,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--archive SVC --path P --remote R`
    Archive {
        /// The service that owns the data.
        service: ServiceName,
        /// The path of the data, according to the caller.
        path: PlainPath,
        /// The destination.
        remote: Remote,
        /// The number of weeks to keep an archive of.
        keep_weekly: Option<Count>,
        /// The number of months to keep an archive of.
        keep_monthly: Option<Count>,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--sync-extra NAME --remote R`
    SyncExtra {
        /// The extra target.
        target: TargetName,
        /// The destination.
        remote: Remote,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--rehearse SVC`
    Rehearse {
        /// The service.
        service: ServiceName,
        /// The remote; `None` to search every remote of the configuration.
        remote: Option<Remote>,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// One of the verbs for the host's own command line.
    Host(HostVerb),
}

impl Request {
    /// Parses a request line, as sshd hands it over in `SSH_ORIGINAL_COMMAND`.
    ///
    /// # Errors
    /// When the line does not fit the grammar.
    pub fn parse_line(line: &[u8]) -> Result<Self, ParseError> {
        let words = wire::words(line)?;
        match words.split_first() {
            Some((&PROGRAM, rest)) => Self::parse(rest),
            Some((&other, _)) => Err(ParseError::Program(other.to_owned())),
            None => Err(ParseError::NoVerb),
        }
    }

    /// Parses the words after `backupctl`.
    ///
    /// # Errors
    /// When the words do not fit the grammar.
    pub fn parse(words: &[&str]) -> Result<Self, ParseError> {
        // Do not read the rest, so that the line is refused for the right reason.
        if let Some(word) = words.first().and_then(|first| table::alone(first)) {
            return Ok(Self::Host(HostVerb::Alone(word)));
        }
        let mut typed = Typed::read(words)?;
        let Some((verb, value)) = typed.verb else {
            return Err(ParseError::NoVerb);
        };
        let service = || {
            let word = value.unwrap_or_default();
            ServiceName::parse(word).map_err(|source| ParseError::Value {
                option: verb,
                source,
            })
        };
        let request = match verb {
            "--sync-extra" => Self::SyncExtra {
                target: TargetName::parse(value.unwrap_or_default()).map_err(|source| {
                    ParseError::Value {
                        option: verb,
                        source,
                    }
                })?,
                remote: typed.need(verb, "--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--sync" => Self::Sync {
                service: service()?,
                path: typed.need(verb, "--path", PlainPath::parse)?,
                remote: typed.need(verb, "--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--archive" => Self::Archive {
                service: service()?,
                path: typed.need(verb, "--path", PlainPath::parse)?,
                remote: typed.need(verb, "--remote", Remote::parse)?,
                keep_weekly: typed.take("--keep-weekly", Count::parse)?,
                keep_monthly: typed.take("--keep-monthly", Count::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--rehearse" => Self::Rehearse {
                service: service()?,
                remote: typed.take("--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--stop" => Self::Stop {
                service: service()?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--start" => Self::Start {
                service: service()?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            _ => Self::Host(HostVerb::read(verb, value, &mut typed)?),
        };
        typed.done(verb)?;
        Ok(request)
    }

    /// The same request for these files and folders alone.
    ///
    /// # Errors
    /// When it is no restore, or one in place.
    pub fn only(mut self, paths: Vec<InnerPath>) -> Result<Self, ParseError> {
        let option = table::ONLY.name;
        match &mut self {
            _ if paths.is_empty() => {}
            Self::Host(HostVerb::Restore { target, .. }) if *target == Target::InPlace => {
                return Err(ParseError::TwoVerbs(option, "--in-place"));
            }
            Self::Host(HostVerb::Restore { only, .. }) => *only = paths,
            other => {
                let verb = other.verb();
                return Err(ParseError::Misplaced { option, verb });
            }
        }
        Ok(self)
    }

    /// The verb, as typed.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Stop { .. } => "--stop",
            Self::Start { .. } => "--start",
            Self::Sync { .. } => "--sync",
            Self::Archive { .. } => "--archive",
            Self::SyncExtra { .. } => "--sync-extra",
            Self::Rehearse { .. } => "--rehearse",
            Self::Host(verb) => verb.name(),
        }
    }

    /// The options with their values, in canonical order; an option without a value has an empty one.
    #[must_use]
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        let mut add = |name, value: Option<String>| {
            if let Some(value) = value {
                options.push((name, value));
            }
        };
        match self {
            Self::Stop { timeout, .. } | Self::Start { timeout, .. } => {
                add("--timeout", timeout.map(|t| t.to_string()));
            }
            Self::Sync {
                path,
                remote,
                timeout,
                ..
            } => {
                add("--path", Some(path.to_string()));
                add("--remote", Some(remote.to_string()));
                add("--timeout", timeout.map(|t| t.to_string()));
            }
            Self::Archive {
                path,
                remote,
                keep_weekly,
                keep_monthly,
                timeout,
                ..
            } => {
                add("--path", Some(path.to_string()));
                add("--remote", Some(remote.to_string()));
                add("--keep-weekly", keep_weekly.map(|n| n.to_string()));
                add("--keep-monthly", keep_monthly.map(|n| n.to_string()));
                add("--timeout", timeout.map(|t| t.to_string()));
            }
            Self::SyncExtra {
                remote, timeout, ..
            } => {
                add("--remote", Some(remote.to_string()));
                add("--timeout", timeout.map(|t| t.to_string()));
            }
            Self::Rehearse {
                remote, timeout, ..
            } => {
                add("--remote", remote.as_ref().map(ToString::to_string));
                add("--timeout", timeout.map(|t| t.to_string()));
            }
            Self::Host(verb) => options.extend(verb.options()),
        }
        options
    }

    /// The service or target that the verb names.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Stop { service, .. }
            | Self::Start { service, .. }
            | Self::Sync { service, .. }
            | Self::Archive { service, .. }
            | Self::Rehearse { service, .. } => Some(service.as_str()),
            Self::SyncExtra { target, .. } => Some(target.as_str()),
            Self::Host(verb) => verb.subject(),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PROGRAM} {}", self.verb())?;
        if let Some(subject) = self.subject() {
            write!(f, " {subject}")?;
        }
        for (name, value) in self.options() {
            write!(f, " {name}")?;
            if !value.is_empty() {
                write!(f, " {value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
