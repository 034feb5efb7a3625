//! A request to a program that stays, and its outcome.
//!
//! Invariant: an answer without its end is never an answer.

use crate::ended::Ended;
use crate::program::Output;
use base::error::Failure;

/// A request to a program that answers.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The work, in words.
    pub what: &'r str,
    /// The path that is asked for.
    pub path: &'r str,
    /// The JSON that is sent.
    pub body: &'r [u8],
    /// Path and JSON of the question for the progress, asked now and then meanwhile; the answer goes to `Ear::measure`.
    pub progress: Option<(&'r str, &'r [u8])>,
    /// Destination of the lines that the program prints meanwhile.
    pub output: Output,
}

/// The outcome of a request.
#[derive(Debug)]
pub enum Answered {
    /// An answer.
    Answer {
        /// The status of HTTP.
        status: u16,
        /// The body.
        body: Vec<u8>,
        /// The last lines that were said meanwhile.
        last_words: Vec<String>,
    },
    /// An answer without its end.
    Broken {
        /// The last lines that were said meanwhile.
        last_words: Vec<String>,
    },
    /// The program ended before it had answered, or was ended because its answer made no sense.
    Ended(Ended),
}

/// A file that was read from a program that answers.
#[derive(Debug)]
pub struct Read {
    /// The last answer; nothing when the reader had ended before it.
    pub answered: Option<Answered>,
    /// The reader's result.
    pub read: Result<(), Failure>,
}
