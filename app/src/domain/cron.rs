//! CRON expressions as Debian's crontab(5) reads them.
//!
//! [`CronExpr`] knows local wall-clock minutes only; zones and clock changes are
//! [`super::schedule`]'s. Invariant: a value of this type has five fields that each name at
//! least one minute, hour, day, month or weekday, and prints as text that parses to it again.
//!
//! Debian's `crontab` takes some text that crontab(5) does not describe and then runs it at
//! other times than the text says: it drops what follows a complete element (`5#3` is every
//! Friday), reads a backward range as the empty set (`5-1` never runs), and takes a sixth field
//! for the command. These are refused here, with the reason. Whatever else `crontab` accepts or
//! refuses, so does this parser; the tests hold the list.

mod calendar;
mod describe;
mod field;
#[cfg(test)]
pub(super) mod properties;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDateTime, Timelike};

use calendar::Calendar;
use field::Values;
pub use field::{Field, FieldProblem};

/// The longest expression accepted, in bytes. A list of all sixty minutes takes 170.
pub const MAX_LENGTH: usize = 1000;

/// Why a text is no CRON expression. Each message names the field and the way out.
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
        /// How many there are.
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
        /// Which of the five.
        field: Field,
        /// What is wrong with it, and what to write instead.
        problem: FieldProblem,
    },
    /// The calendar refused what the parser accepted. No known text leads here; it is an error
    /// and not a crash so that one odd expression could never take the scheduler down.
    #[error("the calendar cannot hold this expression: {reason}")]
    Calendar {
        /// The calendar's own words.
        reason: String,
    },
}

/// A parsed CRON expression: the set of local minutes at which a job is due.
#[derive(Clone, PartialEq, Eq)]
pub struct CronExpr {
    text: String,
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
    calendar: Calendar,
}

impl CronExpr {
    /// The expression as given, with single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the minute or hour field starts with `*`. cron(8) lets such jobs follow the clock
    /// through its changes, while jobs at a particular time run once, neither skipped nor doubled.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.minutes.star() || self.hours.star()
    }

    /// Whether the job is due in the minute of `local`, a wall-clock time.
    #[must_use]
    pub fn matches(&self, local: NaiveDateTime) -> bool {
        let day = self.days.contains(local.day());
        let weekday = self
            .weekdays
            .contains(local.weekday().num_days_from_sunday());
        self.minutes.contains(local.minute())
            && self.hours.contains(local.hour())
            && self.months.contains(local.month())
            && if self.both_days_must_match() {
                day && weekday
            } else {
                day || weekday
            }
    }

    /// The first wall-clock minute strictly after `local` at which the job is due, or `None`
    /// when there is none: 30 February, or the end of the calendar.
    #[must_use]
    pub fn next_local(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.calendar.next_after(local)
    }

    /// The expression in plain English, such as "every day at 03:00".
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(self)
    }

    /// The rule of Debian's cron.c: a day field that starts with `*` (so also `*/2`) narrows
    /// the other one; two others are alternatives.
    fn both_days_must_match(&self) -> bool {
        self.days.star() || self.weekdays.star()
    }

    fn from_fields(text: String, fields: [&str; 5]) -> Result<Self, CronError> {
        let [minutes, hours, days, months, weekdays] = fields;
        let minutes = Values::parse(Field::Minute, minutes)?;
        let hours = Values::parse(Field::Hour, hours)?;
        let days = Values::parse(Field::DayOfMonth, days)?;
        let months = Values::parse(Field::Month, months)?;
        let weekdays = Values::parse(Field::DayOfWeek, weekdays)?;
        let calendar = Calendar::new(minutes, hours, days, months, weekdays)?;
        Ok(Self {
            text,
            minutes,
            hours,
            days,
            months,
            weekdays,
            calendar,
        })
    }
}

/// The five fields that a word stands for; cron.c gives only `@hourly` a wildcard.
fn nickname(word: &str) -> Result<[&'static str; 5], CronError> {
    match word {
        "@yearly" | "@annually" => Ok(["0", "0", "1", "1", "*"]),
        "@monthly" => Ok(["0", "0", "1", "*", "*"]),
        "@weekly" => Ok(["0", "0", "*", "*", "0"]),
        "@daily" | "@midnight" => Ok(["0", "0", "*", "*", "*"]),
        "@hourly" => Ok(["0", "*", "*", "*", "*"]),
        "@reboot" => Err(CronError::Reboot),
        _ => Err(CronError::Nickname {
            word: field::excerpt(word),
        }),
    }
}

impl FromStr for CronExpr {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        if text.len() > MAX_LENGTH {
            return Err(CronError::TooLong { length: text.len() });
        }
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if let Some(found) = text.chars().find(|c| {
            (c.is_control() && *c != '\t') || (c.is_whitespace() && !matches!(c, ' ' | '\t'))
        }) {
            return Err(CronError::Character { found });
        }
        let words: Vec<&str> = text
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .collect();
        let text = words.join(" ");
        match words[..] {
            [] => Err(CronError::Empty),
            [word] if word.starts_with('@') => Self::from_fields(text, nickname(word)?),
            [word, ..] if word.starts_with('@') => Err(CronError::Nickname {
                word: field::excerpt(&text),
            }),
            [minute, hour, day, month, weekday] => {
                Self::from_fields(text, [minute, hour, day, month, weekday])
            }
            _ => Err(CronError::FieldCount { found: words.len() }),
        }
    }
}

impl fmt::Display for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronExpr({:?})", self.text)
    }
}
