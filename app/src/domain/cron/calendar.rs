//! The set of local minutes, on the `cron` crate's calendar.
//!
//! The crate has its own dialect: seconds first, Sunday as 1, both day fields always required,
//! a step allowed after a single number, years 1970 to 2100. None of these show: it is only ever
//! handed explicit lists, its "UTC" stands for local wall-clock time, "either day field" is the
//! union of two of its schedules, and every year is looked up as a year of the same shape
//! between 2000 and 2027. Invariant: the result lies strictly after the time that was asked about.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};

use super::error::CronError;
use super::field::Values;

/// Twenty-eight years from a leap century on hold each of the fourteen kinds of year.
const FIRST_MODEL_YEAR: i32 = 2000;
const LAST_MODEL_YEAR: i32 = 2027;

/// 29 February falls on a given weekday after at most forty years (across 2100), so a rule
/// that matches nothing for longer never does.
const HORIZON_YEARS: i32 = 41;

/// One or two schedules of the crate; their union is the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    rules: Vec<::cron::Schedule>,
}

impl Calendar {
    pub(super) fn new(
        minutes: Values,
        hours: Values,
        days: Values,
        months: Values,
        weekdays: Values,
    ) -> Result<Self, CronError> {
        let any = || "*".to_owned();
        let numbers = |values: Values, shift: u32| {
            if values.is_full() {
                return any();
            }
            let list: Vec<String> = values.iter().map(|v| (v + shift).to_string()).collect();
            list.join(",")
        };
        let rule = |days: String, weekdays: String| {
            let (minutes, hours, months) =
                (numbers(minutes, 0), numbers(hours, 0), numbers(months, 0));
            let text = format!(
                "0 {minutes} {hours} {days} {months} {weekdays} {FIRST_MODEL_YEAR}-{LAST_MODEL_YEAR}"
            );
            ::cron::Schedule::from_str(&text).map_err(|error| CronError::Calendar {
                reason: error.to_string(),
            })
        };
        let (on_days, on_weekdays) = (numbers(days, 0), numbers(weekdays, 1));
        let rules = if days.star() || weekdays.star() {
            vec![rule(on_days, on_weekdays)?]
        } else {
            vec![rule(on_days, any())?, rule(any(), on_weekdays)?]
        };
        Ok(Self { rules })
    }

    pub(super) fn next_after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.rules
            .iter()
            .filter_map(|rule| next_of(rule, local))
            .min()
    }
}

fn next_of(rule: &::cron::Schedule, local: NaiveDateTime) -> Option<NaiveDateTime> {
    let first = local.year();
    (first..=first.checked_add(HORIZON_YEARS)?).find_map(|year| {
        let model = model_of(year)?;
        let after = if year == first {
            local.with_year(model)?
        } else {
            NaiveDate::from_ymd_opt(model - 1, 12, 31)?.and_hms_opt(23, 59, 59)?
        };
        let found: DateTime<Utc> = rule.after(&after.and_utc()).next()?;
        (found.year() == model)
            .then(|| found.naive_utc().with_year(year))
            .flatten()
    })
}

/// A year on which the same dates exist and fall on the same weekdays.
fn model_of(year: i32) -> Option<i32> {
    if (FIRST_MODEL_YEAR..=LAST_MODEL_YEAR).contains(&year) {
        return Some(year);
    }
    let shape = shape_of(year)?;
    (FIRST_MODEL_YEAR..=LAST_MODEL_YEAR).find(|&model| shape_of(model) == Some(shape))
}

fn shape_of(year: i32) -> Option<(chrono::Weekday, bool)> {
    let new_year = NaiveDate::from_ymd_opt(year, 1, 1)?;
    Some((new_year.weekday(), new_year.leap_year()))
}
