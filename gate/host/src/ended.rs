//! The end of a program.
//!
//! Invariant: an end that the kernel did not tell is never success.

use crate::program::NotStarted;

/// The way in which a program ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With a code.
    Code(i32),
    /// Ended by this signal.
    Signal(i32),
    /// The program was never started.
    NotStarted(NotStarted),
    /// It ended, and the kernel did not tell how.
    Unknown,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => write!(f, "ended by signal {number}"),
            Self::NotStarted(NotStarted::SourceReplaced) => {
                f.write_str("not started, because its source was replaced")
            }
            Self::NotStarted(NotStarted::Unprepared) => f.write_str("not started"),
            Self::Unknown => f.write_str("its end is not known"),
        }
    }
}

/// A program that has ended by itself.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The way it ended.
    pub exit: Exit,
    /// Its output, where that was captured.
    pub stdout: Vec<u8>,
    /// The last lines of its standard error.
    pub last_words: Vec<String>,
}

impl Ended {
    /// True if it reported success.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// The way it ended and its last words, on one line.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.last_words.last() {
            Some(words) => format!("{} ({words})", self.exit),
            None => self.exit.to_string(),
        }
    }
}
