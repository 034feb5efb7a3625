//! The last 30 days of a task as one small drawing, newest right. Each day has a bar with the worst result of the day:
//! its height says the same as its colour, for people who cannot tell the colours.

use super::grid::run_mark;
use super::relative_time::day;
use crate::domain::lifecycle::RunState;
use crate::store::fares::Ended;
use crate::zones::Zone;
use askama::Template;
use chrono::{DateTime, Days, NaiveDate, Utc};
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

/// The first day that is shown.
pub(super) fn first_day(now: DateTime<Utc>, zone: Zone) -> NaiveDate {
    let today = day(now, zone);
    today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today)
}

impl Last30Days {
    /// The days up to today.
    pub(super) fn new(lately: &[Ended], now: DateTime<Utc>, zone: Zone) -> Self {
        let mut by_day: BTreeMap<NaiveDate, Vec<&Ended>> = BTreeMap::new();
        for ended in lately {
            by_day.entry(day(ended.at, zone)).or_default().push(ended);
        }
        let mut drawing = Self::default();
        let (mut good, mut failed) = (0, Vec::new());
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, date) in first_day(now, zone)
            .iter_days()
            .take(DAYS as usize)
            .enumerate()
        {
            let x = place * PITCH;
            let worst = by_day.get(&date).and_then(|ended| worst(ended));
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
fn worst(ended: &[&Ended]) -> Option<Worst> {
    let worst = ended
        .iter()
        .max_by_key(|ended| (badness(ended.state), ended.run))?;
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for ended in ended {
        let word = run_mark(ended.state).word;
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(word, count)| match count {
            1 => (*word).to_owned(),
            _ => format!("{count} × {word}"),
        })
        .collect();
    Some(Worst {
        class: run_mark(worst.state).class,
        run: worst.run.0,
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

    fn ended(run: i64, state: RunState, at: &str) -> Ended {
        Ended {
            run: RunId(run),
            state,
            at: at.parse().unwrap(),
        }
    }

    #[test]
    fn a_day_shows_its_worst_run_and_names_all() {
        let now = "2026-03-10T12:00:00Z".parse().unwrap();
        let drawing = Last30Days::new(
            &[
                ended(1, RunState::Failed, "2026-03-04T22:30:00Z"),
                ended(2, RunState::Success, "2026-03-08T23:30:00Z"),
                ended(3, RunState::Failed, "2026-03-10T01:00:00Z"),
                ended(4, RunState::Success, "2026-03-10T02:00:00Z"),
            ],
            now,
            crate::zones::find("Europe/Paris").unwrap(),
        );
        // Half past eleven in the evening UTC is the next day in Paris.
        assert_eq!(drawing.failed, Some(3));
        assert_eq!(drawing.paths["red"].matches("h10").count(), 2);
        assert_eq!(drawing.paths["green"], "M336 15h10");
        assert_eq!(drawing.paths["none"].matches("h10").count(), 27);
        assert_eq!(
            drawing.label,
            "Last 30 days: 1 good, 2 failed (Mar 10: failed, success; Mar 4: failed)"
        );
    }
}
