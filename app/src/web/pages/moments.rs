//! Times in words, seen from now: how long ago something was, and when something will be.

use crate::zones::Zone;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// `just now`, `5 min ago`, `26 h ago`, `3 days ago`; a time to come counts as now.
pub(super) fn ago(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    readable::age((now - time).num_seconds().max(0))
}

/// `today at 14:00`, `tomorrow at 03:00`, `Sunday at 03:00`, `Mar 12 at 03:00`.
pub(super) fn upcoming(time: DateTime<Utc>, now: DateTime<Utc>, zone: Zone) -> String {
    let (time, today) = (zone.local(time), day(now, zone));
    let date = time.date_naive();
    let days = (date - today).num_days();
    let day = match days {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        2..7 => date.format("%A").to_string(),
        _ if date.year() == today.year() => date.format("%b %-d").to_string(),
        _ => date.format("%Y-%m-%d").to_string(),
    };
    format!("{day} at {}", time.format("%H:%M"))
}

/// The day on which a time falls for people in `zone`.
pub(super) fn day(time: DateTime<Utc>, zone: Zone) -> NaiveDate {
    zone.local(time).date_naive()
}

/// A time not after the beginning of `day` in any zone: none is more than 14 hours from UTC.
pub(super) fn before(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc() - TimeDelta::hours(15)
}

/// A time as pages show it: in the server's zone, to the second.
pub(super) fn shown(time: DateTime<Utc>, zone: Zone) -> String {
    zone.local(time).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A duration as pages show it; a negative one counts as zero.
pub(super) fn lasted(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    readable::duration(u64::try_from((to - from).num_milliseconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_past_is_told_in_units_that_people_use() {
        let now = at("2026-03-10T12:00:00Z");
        let text = |time| ago(at(time), now);
        assert_eq!(text("2026-03-10T12:00:30Z"), "just now");
        assert_eq!(text("2026-03-10T11:00:00Z"), "60 min ago");
    }

    #[test]
    fn the_future_is_told_by_the_days_of_the_zone() {
        // In Paris it is Tuesday, half past midnight.
        let now = at("2026-03-09T23:30:00Z");
        let text = |time| upcoming(at(time), now, crate::zones::find("Europe/Paris").unwrap());
        assert_eq!(text("2026-03-10T02:00:00Z"), "today at 03:00");
        assert_eq!(text("2026-03-11T02:00:00Z"), "tomorrow at 03:00");
        assert_eq!(text("2026-03-15T02:00:00Z"), "Sunday at 03:00");
        assert_eq!(text("2026-03-17T02:00:00Z"), "Mar 17 at 03:00");
        assert_eq!(text("2027-03-17T02:00:00Z"), "2027-03-17 at 03:00");
    }
}
