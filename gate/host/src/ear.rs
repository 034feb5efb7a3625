//! Receivers of a program's messages.
//!
//! Invariant: a receiver selects the lines for the caller; it never stops the reading.

use base::reply::Stream;

/// Receives a program's standard error, line by line, and decides the use of each line.
pub trait Ear {
    /// One line, and the text for the caller. Text for standard error is remembered as one of the program's last
    /// words.
    fn hear(&mut self, line: &str) -> Option<(Stream, String)>;

    /// True to end the program, as if it had failed by itself.
    fn has_enough(&self) -> bool {
        false
    }

    /// An answer to a question for the progress, and the line about it for the caller.
    fn measure(&mut self, _answer: &[u8]) -> Option<(Stream, String)> {
        None
    }

    /// Longer lines are heard in pieces of this many bytes.
    fn longest_line(&self) -> usize {
        4096
    }
}

/// Passes everything on as it is.
#[derive(Debug)]
pub struct Relay;

impl Ear for Relay {
    fn hear(&mut self, line: &str) -> Option<(Stream, String)> {
        Some((Stream::Err, line.to_owned()))
    }
}

/// Passes nothing on.
#[derive(Debug)]
pub struct Mute;

impl Ear for Mute {
    fn hear(&mut self, _line: &str) -> Option<(Stream, String)> {
        None
    }
}
