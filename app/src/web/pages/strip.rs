//! The strip: one box for each of the last 30 days, newest right, with the worst of the day.

use super::grid::{Mark, run_mark};
use super::moments::day;
use crate::domain::lifecycle::RunState;
use crate::store::fares::Ended;
use crate::zones::Zone;
use chrono::{DateTime, Days, NaiveDate, Utc};
use std::collections::BTreeMap;

/// Days shown.
pub(super) const DAYS: u64 = 30;

/// Days after a linked one that have no link.
const CLOSE: usize = 2;

/// One day of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    /// None where nothing ended on that day.
    pub(super) mark: Option<Mark>,
    /// The day and its results, in words.
    pub(super) label: String,
    /// The link to the failed run; only days with a failure have one, so that a
    /// keyboard goes from trouble to trouble.
    pub(super) href: Option<String>,
}

/// The first day that is shown.
pub(super) fn first_day(now: DateTime<Utc>, zone: Zone) -> NaiveDate {
    let today = day(now, zone);
    today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today)
}

/// The days up to today.
pub(super) fn days(lately: &[Ended], now: DateTime<Utc>, zone: Zone) -> Vec<Day> {
    let mut by_day: BTreeMap<NaiveDate, Vec<&Ended>> = BTreeMap::new();
    for ended in lately {
        by_day.entry(day(ended.at, zone)).or_default().push(ended);
    }
    let shown = first_day(now, zone).iter_days().take(DAYS as usize);
    let mut days: Vec<Day> = shown
        .map(|date| one(date, by_day.get(&date).map_or(&[], Vec::as_slice)))
        .collect();
    // Links side by side are too narrow for fingers (WCAG 2.2, 2.5.8): the newest leads on.
    let mut apart = 0;
    for day in days.iter_mut().rev() {
        if day.href.is_some() && apart == 0 {
            apart = CLOSE;
        } else {
            day.href = None;
            apart = usize::saturating_sub(apart, 1);
        }
    }
    days
}

fn one(date: NaiveDate, ended: &[&Ended]) -> Day {
    let date = date.format("%b %-d");
    // The newest of the worst.
    let Some(worst) = ended
        .iter()
        .max_by_key(|ended| (badness(ended.state), ended.run))
    else {
        return Day {
            mark: None,
            label: format!("{date}: no run"),
            href: None,
        };
    };
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
    let mark = run_mark(worst.state);
    Day {
        label: format!("{date}: {}", words.join(", ")),
        href: (mark.class == "red").then(|| format!("/runs/{}", worst.run.0)),
        mark: Some(mark),
    }
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
    fn a_day_shows_its_worst_run_and_tells_of_all() {
        let now = "2026-03-10T12:00:00Z".parse().unwrap();
        let days = days(
            &[
                ended(1, RunState::Failed, "2026-03-09T22:30:00Z"),
                ended(2, RunState::Success, "2026-03-09T23:30:00Z"),
                ended(3, RunState::Failed, "2026-03-10T01:00:00Z"),
                ended(4, RunState::Success, "2026-03-10T02:00:00Z"),
            ],
            now,
            crate::zones::find("Europe/Paris").unwrap(),
        );
        assert_eq!(days.len(), 30);
        let [.., before, yesterday, today] = days.as_slice() else {
            unreachable!()
        };
        assert_eq!(before.label, "Mar 8: no run");
        assert_eq!(yesterday.label, "Mar 9: failed");
        // Half past eleven in the evening UTC is the next day in Paris.
        assert_eq!(today.label, "Mar 10: 2 × success, failed");
        assert_eq!(today.mark.unwrap().class, "red");
        assert_eq!(today.href.as_deref(), Some("/runs/3"));
    }
}
