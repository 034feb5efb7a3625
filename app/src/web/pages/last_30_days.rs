//! The last 30 days of a task as one small drawing, newest right. Each day has a bar with the worst result of the day:
//! its height says the same as its colour, for people who cannot tell the colours.

use super::grid::run_mark;
use super::relative_time::{before, day};
use crate::domain::lifecycle::RunState;
use crate::store::fares::{DayResults, Results};
use crate::zones::Zone;
use askama::Template;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Days shown.
const DAYS: u64 = 30;
/// Room for a day, and the width of its bar, in the drawing's own units.
const PITCH: usize = 12;
const WIDTH: usize = 10;
/// Most days with a failure that the label names.
const NAMED: usize = 3;

/// The drawing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Template)]
#[template(path = "last_30_days.html")]
pub(super) struct Last30Days {
    /// The bars of each colour, as a path: a dash for each bar, as thick as its height in the style sheet.
    paths: BTreeMap<&'static str, String>,
    /// The newest failed run, to which the drawing links.
    failed: Option<i64>,
    /// The drawing in words.
    label: String,
}

/// The worst result of a day.
struct Worst {
    class: &'static str,
    run: i64,
    words: String,
}

/// Quarters of an hour in the 30 hours within which a day begins, in whatever zone. Days begin on a quarter in UTC.
const QUARTERS: i32 = 120;

/// The first moment of each day that is shown, oldest first.
pub(super) fn begins(now: DateTime<Utc>, zone: Zone) -> Vec<DateTime<Utc>> {
    let days = first_day(now, zone).iter_days().take(DAYS as usize);
    days.map(|date| {
        let quarter = |number| before(date) + TimeDelta::minutes(15) * number;
        let (mut low, mut high) = (0, QUARTERS);
        while low < high {
            let middle = low.midpoint(high);
            match day(quarter(middle), zone) < date {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        quarter(low)
    })
    .collect()
}

fn first_day(now: DateTime<Utc>, zone: Zone) -> NaiveDate {
    let today = day(now, zone);
    today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today)
}

impl Last30Days {
    /// The days up to today. The days of the results are counted from the first one.
    pub(super) fn new(lately: &[DayResults], now: DateTime<Utc>, zone: Zone) -> Self {
        let mut lately = lately.iter().peekable();
        let mut drawing = Self::default();
        let (mut good, mut failed) = (0, Vec::new());
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, date) in first_day(now, zone)
            .iter_days()
            .take(DAYS as usize)
            .enumerate()
        {
            let x = place * PITCH;
            let results = lately.next_if(|results| results.day == place);
            let worst = results.and_then(|day| worst(&day.results));
            let class = worst.as_ref().map_or("none", |worst| worst.class);
            let path = drawing.paths.entry(class).or_default();
            // Relative steps are short: a page has thousands of bars.
            match ends.insert(class, x + WIDTH) {
                None => path.push_str(&format!("M{x} {}h{WIDTH}", middle(class))),
                Some(end) => path.push_str(&format!("m{} 0h{WIDTH}", x - end)),
            }
            match worst {
                Some(worst) if class == "red" => {
                    failed.push(format!("{}: {}", date.format("%b %-d"), worst.words));
                    drawing.failed = Some(worst.run);
                }
                Some(worst) if worst.class == "green" => good += 1,
                _ => {}
            }
        }
        drawing.label = label(good, &failed);
        drawing
    }
}

/// The middle of a bar; its height is the stroke of `svg.last` in the style sheet. A failure fills the drawing, a day
/// without a run is a line.
fn middle(class: &str) -> usize {
    match class {
        "red" => 11,
        "green" => 15,
        "none" => 21,
        _ => 19,
    }
}

fn label(good: usize, failed: &[String]) -> String {
    let mut label = format!("Last 30 days: {good} good, {} failed", failed.len());
    let newest: Vec<&str> = failed
        .iter()
        .rev()
        .take(NAMED)
        .map(String::as_str)
        .collect();
    if !newest.is_empty() {
        label.push_str(&format!(" ({})", newest.join("; ")));
    }
    label
}

/// The newest of the worst results of a day, with all results in words.
fn worst(results: &[Results]) -> Option<Worst> {
    let worst = results.iter().max_by_key(|one| badness(one.state))?;
    let words: Vec<String> = results
        .iter()
        .map(|one| match (one.count, run_mark(one.state).word) {
            (1, word) => word.to_owned(),
            (count, word) => format!("{count} × {word}"),
        })
        .collect();
    Some(Worst {
        class: run_mark(worst.state).class,
        run: worst.newest.0,
        words: words.join(", "),
    })
}

fn badness(state: RunState) -> u8 {
    match state {
        RunState::Queued | RunState::Running => 0,
        RunState::Skipped => 1,
        RunState::Missed => 2,
        RunState::Success => 3,
        RunState::Cancelled => 4,
        RunState::Interrupted => 5,
        RunState::Failed => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lifecycle::RunId;

    fn day_of(day: usize, results: &[(RunState, i64)]) -> DayResults {
        let results = results.iter().map(|(state, run)| Results {
            state: *state,
            count: 1,
            newest: RunId(*run),
        });
        DayResults {
            day,
            results: results.collect(),
        }
    }

    #[test]
    fn a_day_shows_its_worst_run_and_names_all() {
        let now = "2026-03-10T12:00:00Z".parse().unwrap();
        let drawing = Last30Days::new(
            &[
                day_of(23, &[(RunState::Failed, 1)]),
                day_of(28, &[(RunState::Success, 2)]),
                day_of(29, &[(RunState::Failed, 3), (RunState::Success, 4)]),
            ],
            now,
            crate::zones::find("Europe/Paris").unwrap(),
        );
        assert_eq!(drawing.failed, Some(3));
        assert_eq!(drawing.paths["red"].matches("h10").count(), 2);
        assert_eq!(drawing.paths["green"], "M336 15h10");
        assert_eq!(drawing.paths["none"].matches("h10").count(), 27);
        assert_eq!(
            drawing.label,
            "Last 30 days: 1 good, 2 failed (Mar 10: failed, success; Mar 4: failed)"
        );
    }

    #[test]
    fn days_begin_where_the_zone_says() {
        // Expected by Python's zoneinfo. The clocks change on 29 March in Paris and on 4 April on Lord Howe; Apia, Chatham
        // and St. John's are far from UTC or not whole hours from it.
        for (zone, now, date, begin) in [
            (
                "Europe/Paris",
                "2026-04-10T12:00:00Z",
                29,
                "2026-03-28T23:00:00Z",
            ),
            (
                "Europe/Paris",
                "2026-04-10T12:00:00Z",
                30,
                "2026-03-29T22:00:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-04-10T12:00:00Z",
                5,
                "2026-04-04T13:00:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-04-10T12:00:00Z",
                6,
                "2026-04-05T13:30:00Z",
            ),
            (
                "Pacific/Apia",
                "2026-04-10T12:00:00Z",
                11,
                "2026-04-10T11:00:00Z",
            ),
            (
                "Pacific/Chatham",
                "2026-04-10T12:00:00Z",
                11,
                "2026-04-10T11:15:00Z",
            ),
            (
                "Etc/GMT+12",
                "2026-04-10T12:00:00Z",
                10,
                "2026-04-10T12:00:00Z",
            ),
        ] {
            let (zone_found, now) = (crate::zones::find(zone).unwrap(), now.parse().unwrap());
            let begins = begins(now, zone_found);
            assert_eq!(begins.len(), DAYS as usize);
            let begin: DateTime<Utc> = begin.parse().unwrap();
            let place = begins.iter().position(|one| *one == begin);
            let place = place.unwrap_or_else(|| panic!("{zone}: {begin} is not in {begins:?}"));
            let found = first_day(now, zone_found) + Days::new(place as u64);
            assert_eq!(chrono::Datelike::day(&found), date, "{zone} {begin}");
        }
    }
}
