//! Times on pages: relative words, with the exact time and its zone on hover or focus.

use crate::store::StoredTask;
use crate::web::App;
use crate::zones::Zone;
use askama::Template;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// A time on a page: relative in words; exact, with its zone, on hover or focus.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = r#"<time datetime="{{ machine }}" title="{{ exact }}" tabindex="0">{{ words }}</time>"#,
    ext = "html"
)]
pub(super) struct Moment {
    machine: String,
    exact: String,
    words: String,
}

impl Moment {
    /// A time that may have passed.
    pub(super) fn past(time: DateTime<Utc>, now: DateTime<Utc>, zone: Zone) -> Self {
        Self::said(ago(time, now), time, zone)
    }

    /// A time that is to come.
    pub(super) fn next(time: DateTime<Utc>, now: DateTime<Utc>, zone: Zone) -> Self {
        Self::said(upcoming(time, now, zone), time, zone)
    }

    /// The next run of a task, also by the clock of the task's own zone.
    pub(super) fn next_of(
        task: &StoredTask,
        time: DateTime<Utc>,
        now: DateTime<Utc>,
        zone: Zone,
    ) -> Self {
        let mut words = upcoming(time, now, zone);
        if let Some(own) = task.task.zone.filter(|own| *own != zone) {
            words.push_str(&format!(
                " ({} {})",
                own.local(time).format("%H:%M"),
                own.name()
            ));
        }
        Self::said(words, time, zone)
    }

    /// A time as the page of a request shows it.
    pub(super) fn new(app: &App, time: DateTime<Utc>) -> Self {
        let (now, zone) = (app.clock.now(), app.zone.get());
        match time > now {
            true => Self::next(time, now, zone),
            false => Self::past(time, now, zone),
        }
    }

    /// A time in given words.
    pub(super) fn said(words: String, time: DateTime<Utc>, zone: Zone) -> Self {
        Self {
            machine: time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            exact: format!("{} {}", shown(time, zone), zone.name()),
            words,
        }
    }
}

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

/// Eight o'clock of the day after `now`; where a clock change skips it, the same moment by the old clock.
pub(super) fn morning_after(now: DateTime<Utc>, zone: Zone) -> DateTime<Utc> {
    let tomorrow = day(now, zone).succ_opt().unwrap_or_default();
    let wall = tomorrow.and_hms_opt(8, 0, 0).unwrap_or_default().and_utc();
    // The offset at a time near the wanted one, and once more at the time that it gives.
    let with_offset_at = |at: DateTime<Utc>| {
        wall - TimeDelta::seconds(zone.offset_at(at.timestamp()).unwrap_or_default())
    };
    with_offset_at(with_offset_at(wall))
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
    fn a_pause_ends_at_eight_by_the_clock_of_the_zone() {
        let zone = crate::zones::find("Europe/Paris").unwrap();
        // Half past midnight in Paris; and the night in which the clock goes forward.
        for (now, morning) in [
            ("2026-03-09T23:30:00Z", "2026-03-11T07:00:00Z"),
            ("2026-03-28T12:00:00Z", "2026-03-29T06:00:00Z"),
        ] {
            assert_eq!(morning_after(at(now), zone), at(morning), "{now}");
        }
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
