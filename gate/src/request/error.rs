//! The reasons for which words are not a request.
//!
//! Invariant: each names the word, and never the bytes around it.

use thiserror::Error;

use crate::error::Failure;
use crate::names::NameError;
use crate::wire::WireError;

/// The first word of every request line.
pub const PROGRAM: &str = "backupctl";

/// A reason for which words are not a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The line is not even words.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// Another program is asked for.
    #[error("a request begins with the word {PROGRAM}, not '{0}'")]
    Program(String),
    /// There is no verb.
    #[error(
        "no action is named; give one of --stop, --start, --sync, --archive, --sync-extra, or see backupctl --help on the host"
    )]
    NoVerb,
    /// There are two verbs.
    #[error("{0} and {1} cannot be asked for in one request")]
    TwoVerbs(&'static str, &'static str),
    /// An option that does not exist.
    #[error("unknown option '{word}'; {}", hint(*nearest))]
    Unknown {
        /// The word as it came.
        word: String,
        /// The option that is spelled most like it.
        nearest: Option<&'static str>,
    },
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

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::Usage(error.to_string())
    }
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean {name}? Options are written in full"),
        None => "options are written in full; see backupctl --help".to_owned(),
    }
}
