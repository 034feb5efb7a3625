//! Sizes, ages and counts in the words of a person.
//!
//! Invariant: the output is for people; scripts get the plain numbers by `--json`.

use chrono::TimeDelta;

pub use readable::{duration, size};

/// `5 minutes`: in the largest unit of which there are at least two.
#[must_use]
pub fn span(time: TimeDelta) -> String {
    let seconds = time.num_seconds().unsigned_abs();
    match seconds {
        0..120 => count(seconds, "second"),
        120..7200 => count(seconds / 60, "minute"),
        7200..172_800 => count(seconds / 3600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

/// `5 minutes ago`, or `in 5 minutes`.
#[must_use]
pub fn since(time: TimeDelta) -> String {
    if time < TimeDelta::zero() {
        format!("in {}", span(time))
    } else {
        format!("{} ago", span(time))
    }
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
    fn ages_are_rounded_down() {
        for (seconds, words) in [
            (1, "1 second ago"),
            (119, "119 seconds ago"),
            (7199, "119 minutes ago"),
            (7200, "2 hours ago"),
            (172_800, "2 days ago"),
            (-600, "in 10 minutes"),
        ] {
            assert_eq!(since(TimeDelta::seconds(seconds)), words);
        }
        assert_eq!(days_ago(1), "yesterday");
        assert_eq!(days_ago(-3), "in 3 days, so a clock is wrong");
    }
}
