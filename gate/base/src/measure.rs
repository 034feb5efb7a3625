//! Sizes, ages and counts in the words of a person.
//!
//! Invariant: the output is for people; scripts get the plain numbers by `--json`.

use chrono::TimeDelta;

pub use readable::{duration, size};

/// `5 min ago`, or `in 5 min`.
#[must_use]
pub fn since(time: TimeDelta) -> String {
    readable::age(time.num_seconds())
}

/// `today`, `yesterday`, `5 days ago`, or that the date is in the future.
#[must_use]
pub fn days_ago(days: i64) -> String {
    match days {
        0 => "today".into(),
        1 => "yesterday".into(),
        ..0 => format!(
            "in {}, so a clock is wrong",
            count(days.unsigned_abs(), "day")
        ),
        _ => format!("{days} days ago"),
    }
}

/// `1 file`, `2 files`.
#[must_use]
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_today() {
        assert_eq!(days_ago(1), "yesterday");
        assert_eq!(days_ago(-3), "in 3 days, so a clock is wrong");
    }
}
