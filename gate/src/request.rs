//! Words → [`Request`], and back.
//!
//! Invariant: `parse(print(r)) == r` for every request, and what does not parse has touched nothing.
//! Options come in any order, each once, in full; nothing unknown; one verb.

use std::fmt;

use thiserror::Error;

use crate::names::{Count, NameError, PlainPath, Remote, Seconds, ServiceName, TargetName};
use crate::wire::{self, WireError};

/// The first word of every request line.
pub const PROGRAM: &str = "backupctl";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `--stop SVC`
    Stop {
        /// Whom.
        service: ServiceName,
        /// How long it may take.
        timeout: Option<Seconds>,
    },
    /// `--start SVC`
    Start {
        /// Whom.
        service: ServiceName,
        /// How long it may take.
        timeout: Option<Seconds>,
    },
    /// `--sync SVC --path P --remote R`
    Sync {
        /// Whose data.
        service: ServiceName,
        /// Where they say it is.
        path: PlainPath,
        /// Where to.
        remote: Remote,
        /// How long it may take.
        timeout: Option<Seconds>,
    },
    /// `--archive SVC --path P --remote R`
    Archive {
        /// Whose data.
        service: ServiceName,
        /// Where they say it is.
        path: PlainPath,
        /// Where to.
        remote: Remote,
        /// Weeks to keep an archive of.
        keep_weekly: Option<Count>,
        /// Months to keep an archive of.
        keep_monthly: Option<Count>,
        /// How long it may take.
        timeout: Option<Seconds>,
    },
    /// `--sync-extra NAME --remote R`
    SyncExtra {
        /// Which directory.
        target: TargetName,
        /// Where to.
        remote: Remote,
        /// How long it may take.
        timeout: Option<Seconds>,
    },
    /// One of the verbs for the host's own command line.
    Host(HostVerb),
}

/// Verbs that are refused over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostVerb {
    /// `--list`
    List,
    /// `--status [SVC]`
    Status(Option<ServiceName>),
    /// A verb that is only known in order to be refused with the right reason; its arguments are not read.
    Other(&'static str),
}

/// Why words are not a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The line is not even words.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// Another program is asked for.
    #[error("a request begins with the word {PROGRAM}, not '{0}'")]
    Program(String),
    /// There is no verb.
    #[error("no action is named; give one of --stop, --start, --sync, --archive, --sync-extra")]
    NoVerb,
    /// There are two verbs.
    #[error("{0} and {1} cannot be asked for in one request")]
    TwoVerbs(&'static str, &'static str),
    /// An option that does not exist.
    #[error("'{0}' is not an option of a request; options are written in full")]
    Unknown(String),
    /// An option came twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// An option without its value.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// An option that means nothing to this verb.
    #[error("{option} does not go with {verb}")]
    Misplaced {
        /// The option.
        option: &'static str,
        /// The verb.
        verb: &'static str,
    },
    /// A verb without something it needs.
    #[error("{verb} needs {option}")]
    Missing {
        /// The option.
        option: &'static str,
        /// The verb.
        verb: &'static str,
    },
    /// A value that does not fit.
    #[error("{option}: {source}")]
    Value {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
}

const VERBS: [&str; 5] = ["--stop", "--start", "--sync", "--archive", "--sync-extra"];
const OPTIONS: [&str; 5] = [
    "--path",
    "--remote",
    "--keep-weekly",
    "--keep-monthly",
    "--timeout",
];
const HOST_ONLY: [&str; 6] = [
    "--explain",
    "--help",
    "--version",
    "--doctor",
    "--restore",
    "--verify",
];

/// What was typed: each option with its value, not yet looked at.
#[derive(Default)]
struct Typed<'a> {
    verb: Option<(&'static str, &'a str)>,
    options: Vec<(&'static str, &'a str)>,
}

impl<'a> Typed<'a> {
    fn read(words: &[&'a str]) -> Result<Self, ParseError> {
        let mut typed = Self::default();
        let mut rest = words.iter();
        while let Some(&word) = rest.next() {
            let (option, is_verb) = if let Some(verb) = VERBS.into_iter().find(|&v| v == word) {
                (verb, true)
            } else if let Some(option) = OPTIONS.into_iter().find(|&o| o == word) {
                (option, false)
            } else {
                return Err(ParseError::Unknown(word.to_owned()));
            };
            let value = match rest.next() {
                Some(&value) if !value.starts_with("--") => value,
                _ => return Err(ParseError::NoValue(option)),
            };
            match typed.verb {
                Some((first, _)) if is_verb && first == option => {
                    return Err(ParseError::Twice(option));
                }
                Some((first, _)) if is_verb => return Err(ParseError::TwoVerbs(first, option)),
                None if is_verb => typed.verb = Some((option, value)),
                _ if typed.options.iter().any(|&(seen, _)| seen == option) => {
                    return Err(ParseError::Twice(option));
                }
                _ => typed.options.push((option, value)),
            }
        }
        Ok(typed)
    }

    fn take<T>(
        &mut self,
        option: &'static str,
        parse: fn(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, ParseError> {
        let Some(at) = self.options.iter().position(|&(name, _)| name == option) else {
            return Ok(None);
        };
        let (_, value) = self.options.swap_remove(at);
        parse(value)
            .map(Some)
            .map_err(|source| ParseError::Value { option, source })
    }

    fn need<T>(
        &mut self,
        verb: &'static str,
        option: &'static str,
        parse: fn(&str) -> Result<T, NameError>,
    ) -> Result<T, ParseError> {
        self.take(option, parse)?
            .ok_or(ParseError::Missing { option, verb })
    }

    fn done(self, verb: &'static str) -> Result<(), ParseError> {
        match self.options.first() {
            Some(&(option, _)) => Err(ParseError::Misplaced { option, verb }),
            None => Ok(()),
        }
    }
}

impl Request {
    /// Reads a request line, as sshd hands it over in `SSH_ORIGINAL_COMMAND`.
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

    /// Reads the words after `backupctl`.
    ///
    /// # Errors
    /// When they do not fit the grammar.
    pub fn parse(words: &[&str]) -> Result<Self, ParseError> {
        if let Some(verb) = Self::host_verb(words)? {
            return Ok(Self::Host(verb));
        }
        let mut typed = Typed::read(words)?;
        let Some((verb, value)) = typed.verb else {
            return Err(ParseError::NoVerb);
        };
        let named = |source| ParseError::Value {
            option: verb,
            source,
        };
        let request = match verb {
            "--sync-extra" => Self::SyncExtra {
                target: TargetName::parse(value).map_err(named)?,
                remote: typed.need(verb, "--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--sync" => Self::Sync {
                service: ServiceName::parse(value).map_err(named)?,
                path: typed.need(verb, "--path", PlainPath::parse)?,
                remote: typed.need(verb, "--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--archive" => Self::Archive {
                service: ServiceName::parse(value).map_err(named)?,
                path: typed.need(verb, "--path", PlainPath::parse)?,
                remote: typed.need(verb, "--remote", Remote::parse)?,
                keep_weekly: typed.take("--keep-weekly", Count::parse)?,
                keep_monthly: typed.take("--keep-monthly", Count::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--stop" => Self::Stop {
                service: ServiceName::parse(value).map_err(named)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            _ => Self::Start {
                service: ServiceName::parse(value).map_err(named)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
        };
        typed.done(verb)?;
        Ok(request)
    }

    fn host_verb(words: &[&str]) -> Result<Option<HostVerb>, ParseError> {
        match words {
            ["--list"] => Ok(Some(HostVerb::List)),
            ["--status"] => Ok(Some(HostVerb::Status(None))),
            ["--status", service] => ServiceName::parse(service)
                .map(|name| Some(HostVerb::Status(Some(name))))
                .map_err(|source| ParseError::Value {
                    option: "--status",
                    source,
                }),
            [first, ..] => Ok(HOST_ONLY
                .into_iter()
                .find(|verb| verb == first)
                .map(HostVerb::Other)),
            [] => Ok(None),
        }
    }

    /// The verb, as it is typed.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Stop { .. } => "--stop",
            Self::Start { .. } => "--start",
            Self::Sync { .. } => "--sync",
            Self::Archive { .. } => "--archive",
            Self::SyncExtra { .. } => "--sync-extra",
            Self::Host(HostVerb::List) => "--list",
            Self::Host(HostVerb::Status(_)) => "--status",
            Self::Host(HostVerb::Other(verb)) => verb,
        }
    }

    /// The options in their canonical order, with their values.
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
            Self::Host(_) => {}
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
            | Self::Host(HostVerb::Status(Some(service))) => Some(service.as_str()),
            Self::SyncExtra { target, .. } => Some(target.as_str()),
            Self::Host(_) => None,
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
            write!(f, " {name} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
