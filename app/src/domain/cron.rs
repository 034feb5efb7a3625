//! CRON expressions as Debian's crontab(5) reads them.
//!
//! [`CronExpr`] knows local wall-clock minutes only; zones and clock changes are
//! [`super::schedule`]'s. Invariant: a value of this type has five fields that each name at
//! least one minute, hour, day, month or weekday, and prints as text that parses to it again.
//!
//! Debian's `crontab` takes some text that crontab(5) does not describe and then runs it at
//! other times than the text says: it drops the rest after a complete element (`5#3` is every
//! Friday), reads a backward range as the empty set (`5-1` never runs), and takes a sixth field
//! for the command. These are refused here, with the reason. Everything else that `crontab` accepts or
//! refuses, so does this parser; the tests hold the list.

mod calendar;
mod describe;
mod error;
mod field;
#[cfg(test)]
pub(super) mod properties;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDateTime, Timelike};

use calendar::Calendar;
pub use error::{CronError, MAX_LENGTH};
use field::Values;
pub use field::{Field, FieldProblem};

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

    /// Reports if the minute or hour field starts with `*`. cron(8) lets such jobs follow the clock
    /// through its changes, while jobs at a particular time run once, neither skipped nor doubled.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.minutes.star() || self.hours.star()
    }

    /// Reports if the job is due in the minute of `local`, a wall-clock time.
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

    /// The rule of Debian's cron.c: a day field that starts with `*` (so also `*/2`) narrows
    /// the other one; two others are alternatives.
    fn both_days_must_match(&self) -> bool {
        self.days.star() || self.weekdays.star()
    }

    fn from_fields(text: String, fields: [&str; 5]) -> Result<Self, CronError> {
        let [minutes, hours, days, months, weekdays] = fields;
        let parse = |field, text| {
            Values::parse(field, text).map_err(|problem| CronError::Field { field, problem })
        };
        let minutes = parse(Field::Minute, minutes)?;
        let hours = parse(Field::Hour, hours)?;
        let days = parse(Field::DayOfMonth, days)?;
        let months = parse(Field::Month, months)?;
        let weekdays = parse(Field::DayOfWeek, weekdays)?;
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
