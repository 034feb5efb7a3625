//! Times and durations as people read them: short, in the local zone, with their age.

use crate::domain::schedule::parse_zone;
use crate::engine::{Clock, SystemClock};
use crate::zones::Zone;
use chrono::{DateTime, Datelike, FixedOffset, Local, Utc};

/// Now and here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here {
    now: DateTime<Utc>,
    /// The zone that LIGHTFLOW_TZ or TZ names; the system's own without one.
    zone: Option<Zone>,
}

impl Here {
    /// Reads the clock, and the zone from the environment.
    pub(super) fn new() -> Self {
        let zone = ["LIGHTFLOW_TZ", "TZ"].into_iter().find_map(|key| {
            let name = std::env::var(key).ok()?;
            parse_zone(name.trim_start_matches(':')).ok()
        });
        Self {
            now: SystemClock.now(),
            zone,
        }
    }

    fn local(&self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        match self.zone {
            Some(zone) => zone.local(time),
            None => time.with_timezone(&Local).fixed_offset(),
        }
    }

    /// A time of the API with its age, for example `3 Mar 03:00 (2 h ago)`.
    pub(super) fn full(&self, rfc3339: &str) -> String {
        match parse(rfc3339) {
            Some(time) => format!("{} ({})", self.short_of(time), self.age_of(time)),
            None => rfc3339.to_owned(),
        }
    }

    /// A time of the API in short, for example `3 Mar 03:00`.
    pub(super) fn short(&self, rfc3339: &str) -> String {
        parse(rfc3339).map_or_else(|| rfc3339.to_owned(), |time| self.short_of(time))
    }

    /// The distance of a time of the API, for example `2 h ago` or `in 5 min`.
    pub(super) fn age(&self, rfc3339: &str) -> String {
        parse(rfc3339).map_or_else(String::new, |time| self.age_of(time))
    }

    fn short_of(&self, time: DateTime<Utc>) -> String {
        let local = self.local(time);
        let format = if local.year() == self.local(self.now).year() {
            "%-d %b %H:%M"
        } else {
            "%-d %b %Y"
        };
        local.format(format).to_string()
    }

    fn age_of(&self, time: DateTime<Utc>) -> String {
        readable::age((self.now - time).num_seconds())
    }

    /// Milliseconds since a time of the API, for an unfinished run or step.
    pub(super) fn since_ms(&self, rfc3339: &str) -> Option<i64> {
        parse(rfc3339).map(|time| (self.now - time).num_milliseconds().max(0))
    }
}

fn parse(rfc3339: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(rfc3339).ok()?;
    Some(time.with_timezone(&Utc))
}

/// A duration like `1.2 s` or `3 min 20 s`; a negative one counts as zero.
pub(super) fn took(milliseconds: i64) -> String {
    readable::duration(u64::try_from(milliseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Here {
        Here {
            now: "2026-03-29T10:00:00Z".parse().unwrap(),
            zone: Some(crate::zones::find("Europe/Paris").unwrap()),
        }
    }

    #[test]
    fn times_are_local_and_the_year_shows_when_it_is_another() {
        assert_eq!(
            here().full("2026-03-29T00:30:00.000Z"),
            "29 Mar 01:30 (9 h ago)"
        );
        assert_eq!(
            here().full("2026-03-29T01:00:00Z"),
            "29 Mar 03:00 (9 h ago)"
        );
        assert_eq!(here().short("2025-12-31T22:59:00Z"), "31 Dec 2025");
        assert_eq!(here().short("not a time"), "not a time");
    }

    #[test]
    fn ages_go_both_ways() {
        assert_eq!(here().age("2026-03-29T10:00:02Z"), "just now");
        assert_eq!(here().age("2026-03-29T10:00:42Z"), "in 42 s");
        assert_eq!(here().age("2026-03-29T09:15:00Z"), "45 min ago");
        assert_eq!(here().age("2026-03-20T09:15:00Z"), "9 days ago");
    }
}
