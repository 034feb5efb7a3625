//! The reasons why a text is no CRON expression.

use super::field::{Field, FieldProblem};

/// The longest expression accepted, in bytes. A list of all sixty minutes takes 170.
pub const MAX_LENGTH: usize = 1000;

/// The reasons why a text is no CRON expression. Each message names the field and a correction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Nothing but blanks.
    #[error(
        "the expression is empty, write five fields such as \"0 3 * * *\" or a word such as @daily"
    )]
    Empty,
    /// More than [`MAX_LENGTH`] bytes.
    #[error("the expression has {length} bytes, use at most {MAX_LENGTH}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A line break or another character that separates nothing in a crontab.
    #[error(
        "{found:?} has no place in an expression, separate the five fields by blanks on one line"
    )]
    Character {
        /// The first such character.
        found: char,
    },
    /// Fewer or more than five fields.
    #[error(
        "expected 5 fields (minute, hour, day of month, month, day of week), found {found}: {}",
        if *found < 5 { "use * for a field that does not matter" }
        else { "there is no field for seconds, a year or a command" }
    )]
    FieldCount {
        /// Their number.
        found: usize,
    },
    /// `@reboot`: a crontab may say so, but it names no time to wait for.
    #[error(
        "@reboot names no time, so it has no next run, use @hourly, @daily, @weekly, @monthly, @yearly or five fields"
    )]
    Reboot,
    /// A word after `@` that crontab(5) does not list; they are written in lower case.
    #[error(
        "{word} is not a known word, use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually (in lower case)"
    )]
    Nickname {
        /// The word as given, the `@` included.
        word: String,
    },
    /// One field is wrong.
    #[error("{field}: {problem}")]
    Field {
        /// One of the five.
        field: Field,
        /// The problem and a correction.
        problem: FieldProblem,
    },
    /// The calendar refused an accepted expression. No known text leads here; it is an error
    /// and not a crash so that one odd expression could never take the scheduler down.
    #[error("the calendar cannot hold this expression: {reason}")]
    Calendar {
        /// The calendar's own words.
        reason: String,
    },
}
