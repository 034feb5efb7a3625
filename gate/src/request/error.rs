//! Reasons for which words are not a request.
//!
//! Invariant: each reason names the word, and never the bytes around that word.

use thiserror::Error;

use base::error::Failure;
use base::names::NameError;
use base::wire::WireError;

/// The first word of every request line.
pub const PROGRAM: &str = "backupctl";

/// A reason for which words are not a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The line does not consist of valid words.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The line names another program.
    #[error("a request begins with the word {PROGRAM}, not '{0}'")]
    Program(String),
    /// The verb is missing.
    #[error(
        "no action is named; give one of --stop, --start, --sync, --archive, --sync-extra, or see backupctl --help on the host"
    )]
    NoVerb,
    /// The line has two verbs.
    #[error("{0} and {1} cannot be asked for in one request")]
    TwoVerbs(&'static str, &'static str),
    /// The option does not exist.
    #[error("unknown option '{word}'; {}", hint(*nearest))]
    Unknown {
        /// The word, as received.
        word: String,
        /// The option with the most similar spelling.
        nearest: Option<&'static str>,
    },
    /// The option came twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// The option lacks its value.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// The option does not belong to this verb.
    #[error("{option} does not go with {verb}")]
    Misplaced {
        /// The option.
        option: &'static str,
        /// The verb.
        verb: &'static str,
    },
    /// The verb lacks a required option.
    #[error("{verb} needs {option}")]
    Missing {
        /// The option.
        option: &'static str,
        /// The verb.
        verb: &'static str,
    },
    /// The path leads out of the data.
    #[error("--only: '{0}' is not a path inside of the data, as in folder/file")]
    InnerPath(String),
    /// The value is not valid.
    #[error("{option}: {source}")]
    Value {
        /// The option.
        option: &'static str,
        /// The problem with the value.
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
