//! One field of a CRON expression: its grammar, its range and the set of values it names.
//!
//! Invariant: a [`Values`] is never empty, and holds only values of its field's range, with
//! Sunday as 0 (a 7 in the text is folded away after steps and ranges are counted out).

use std::fmt;
use std::ops::RangeInclusive;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The five fields, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or the first three letters of an English name.
    Month,
    /// 0 to 7, 0 and 7 being Sunday, or the first three letters of an English name.
    DayOfWeek,
}

impl Field {
    /// The numbers the field may hold, as written.
    #[must_use]
    pub fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::Minute => 0..=59,
            Self::Hour => 0..=23,
            Self::DayOfMonth => 1..=31,
            Self::Month => 1..=12,
            Self::DayOfWeek => 0..=7,
        }
    }

    fn number_of_name(self, name: &str) -> Option<u32> {
        let (names, first): (&[&str], u32) = match self {
            Self::Month => (&MONTHS, 1),
            Self::DayOfWeek => (&WEEKDAYS, 0),
            Self::Minute | Self::Hour | Self::DayOfMonth => return None,
        };
        (first..)
            .zip(names)
            .find_map(|(number, known)| known.eq_ignore_ascii_case(name).then_some(number))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// A problem inside one field. `text` is always the offending piece, shortened if long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// A number outside the field's range.
    #[error("{text} is out of range, use {} to {}", range.start(), range.end())]
    OutOfRange {
        /// The number as written.
        text: String,
        /// The allowed values.
        range: RangeInclusive<u32>,
    },
    /// Neither a number, nor a name this field knows.
    #[error("{text:?} is not understood, use {hint}")]
    NotAValue {
        /// The piece as written.
        text: String,
        /// The range of the field.
        hint: &'static str,
    },
    /// `5,,6`, `5,` or `1-`.
    #[error("{text:?} lacks a value {place}, write one or leave the sign out")]
    Missing {
        /// The list or range as written.
        text: String,
        /// The place of the missing part.
        place: &'static str,
    },
    /// `5-1`: crontab takes it and never runs it.
    #[error(
        "{text} runs backwards and would never match, write the smaller number first or two ranges{}",
        if *.sunday { " (7 is Sunday at the end of a range)" } else { "" }
    )]
    Backwards {
        /// The range as written.
        text: String,
        /// Reports if the range ends on Sunday written as 0 or `sun`.
        sunday: bool,
    },
    /// `5/15`: crontab allows a step only after `*` and after a range.
    #[error("{text}: a step needs a range before it, use */{step} or {start}-{end}/{step}")]
    StepWithoutRange {
        /// The piece as written.
        text: String,
        /// The text before the step.
        start: String,
        /// The step.
        step: String,
        /// The largest value of the field.
        end: u32,
    },
    /// A step that is no number, or zero.
    #[error("{text}: the step {step:?} is not usable, use a whole number from 1 on")]
    Step {
        /// The piece as written.
        text: String,
        /// The step.
        step: String,
    },
    /// Something follows a complete value; crontab drops it silently.
    #[error(
        "{text}: {rest:?} after {value} has no meaning here and crontab would drop it, {}",
        if rest.starts_with('#') { "the n-th weekday of a month cannot be written in a crontab" }
        else { "leave it out" }
    )]
    Trailing {
        /// The piece as written.
        text: String,
        /// The part that is understood.
        value: String,
        /// The part that is not.
        rest: String,
    },
}

/// The set of values that a field names, and whether the field starts with `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Values {
    bits: u64,
    star: bool,
    field: Field,
}

impl Values {
    /// Reads a comma-separated list of `*`, values and ranges with optional steps.
    pub(super) fn parse(field: Field, text: &str) -> Result<Self, FieldProblem> {
        let mut bits = 0;
        for element in text.split(',') {
            let piece = if element.is_empty() { text } else { element };
            bits |= parse_element(field, element, piece)?;
        }
        if field == Field::DayOfWeek && bits & (1 << 7) != 0 {
            bits = (bits & !(1 << 7)) | 1;
        }
        Ok(Self {
            bits,
            star: text.starts_with('*'),
            field,
        })
    }

    /// Reports if the field's text starts with `*`, which is all that cron.c looks at.
    pub(super) fn star(self) -> bool {
        self.star
    }

    pub(super) fn contains(self, value: u32) -> bool {
        value < 64 && self.bits & (1 << value) != 0
    }

    /// Reports if every value of the field is named, in any notation.
    pub(super) fn is_full(self) -> bool {
        self.iter().count() == distinct(self.field).count()
    }

    /// The values in ascending order, Sunday being 0.
    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        distinct(self.field).filter(move |&value| self.contains(value))
    }
}

/// The field's range with Sunday once.
fn distinct(field: Field) -> RangeInclusive<u32> {
    match field {
        Field::DayOfWeek => 0..=6,
        other => other.range(),
    }
}

fn parse_element(field: Field, element: &str, context: &str) -> Result<u64, FieldProblem> {
    if element.is_empty() {
        return Err(missing(context, "between its commas"));
    }
    let (first, last, rest) = if let Some(rest) = element.strip_prefix('*') {
        (*field.range().start(), *field.range().end(), rest)
    } else {
        let (first_text, rest) = split_word(element);
        if first_text.is_empty() && rest.starts_with('-') {
            return Err(missing(element, "before the hyphen"));
        }
        let first = parse_value(field, first_text, element)?;
        match rest.strip_prefix('-') {
            Some(after) => {
                let (last_text, rest) = split_word(after);
                if last_text.is_empty() {
                    return Err(missing(element, "after the hyphen"));
                }
                let last = parse_value(field, last_text, element)?;
                if first > last {
                    return Err(FieldProblem::Backwards {
                        text: excerpt(element),
                        sunday: field == Field::DayOfWeek && last == 0,
                    });
                }
                (first, last, rest)
            }
            None => match rest.strip_prefix('/') {
                Some(step) => {
                    return Err(FieldProblem::StepWithoutRange {
                        text: excerpt(element),
                        start: excerpt(first_text),
                        step: excerpt(step),
                        end: *field.range().end(),
                    });
                }
                None => (first, first, rest),
            },
        }
    };
    let (step, rest) = match rest.strip_prefix('/') {
        Some(after) => {
            let (step_text, rest) = split_word(after);
            (parse_step(step_text, after, element)?, rest)
        }
        None => (1, rest),
    };
    if !rest.is_empty() {
        let value = element.strip_suffix(rest).unwrap_or(element);
        return Err(FieldProblem::Trailing {
            text: excerpt(element),
            value: excerpt(value),
            rest: excerpt(rest),
        });
    }
    Ok((first..=last)
        .step_by(step)
        .fold(0, |bits, value| bits | 1 << value))
}

fn parse_value(field: Field, word: &str, element: &str) -> Result<u32, FieldProblem> {
    if let Some(number) = field.number_of_name(word) {
        return Ok(number);
    }
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FieldProblem::NotAValue {
            text: excerpt(if word.is_empty() { element } else { word }),
            hint: match field {
                Field::Minute | Field::Hour | Field::DayOfMonth => {
                    "*, a number, a range such as 1-5, a step such as */2, or a list of these"
                }
                Field::Month => "*, 1 to 12 or jan to dec (three letters)",
                Field::DayOfWeek => "*, 0 to 7 or sun to sat (three letters)",
            },
        });
    }
    // Digits that do not fit a u32 are as far out of range as any other large number.
    match word.parse() {
        Ok(number) if field.range().contains(&number) => Ok(number),
        _ => Err(FieldProblem::OutOfRange {
            text: excerpt(word),
            range: field.range(),
        }),
    }
}

/// A step may be larger than the range (it then leaves the first value), but not zero.
fn parse_step(word: &str, written: &str, element: &str) -> Result<usize, FieldProblem> {
    match word.parse::<u32>() {
        Ok(step) if step > 0 => usize::try_from(step).ok(),
        _ => None,
    }
    .ok_or_else(|| FieldProblem::Step {
        text: excerpt(element),
        step: excerpt(written),
    })
}

/// Letters and digits up to the first sign, as cron's `get_number` collects them.
fn split_word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn missing(text: &str, place: &'static str) -> FieldProblem {
    FieldProblem::Missing {
        text: excerpt(text),
        place,
    }
}

/// The beginning of `text`, so that a message stays a line.
pub(super) fn excerpt(text: &str) -> String {
    const KEPT: usize = 40;
    if text.chars().count() <= KEPT {
        return text.to_owned();
    }
    text.chars().take(KEPT).chain(['…']).collect()
}
