//! The chart of durations: one bar for each run, newest right, as high as the run was long.

use super::grid::run_mark;
use super::{lasted, shown};
use crate::domain::lifecycle::Run;
use crate::zones::Zone;
use chrono::TimeDelta;

/// Room for a bar, and the height of the drawing, in its own units.
pub(super) const PITCH: usize = 20;
pub(super) const HEIGHT: i64 = 100;
/// Fewest places for bars, so that three runs do not look like walls.
const FEWEST: usize = 12;
/// Lowest bar that can be seen.
const VISIBLE: i64 = 3;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DurationBar {
    pub(super) x: usize,
    pub(super) y: i64,
    pub(super) height: i64,
    pub(super) class: &'static str,
    pub(super) label: String,
}

/// The chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Durations {
    pub(super) width: usize,
    pub(super) bars: Vec<DurationBar>,
    /// Shortest, median and longest, in words.
    pub(super) label: String,
    /// The duration at the top.
    pub(super) longest: String,
}

impl Durations {
    /// The chart of `runs`, newest first, as the store gives them; none before two of them ran.
    pub(super) fn new(runs: &[Run], zone: Zone) -> Option<Self> {
        let ran: Vec<(&Run, TimeDelta)> = runs
            .iter()
            .rev()
            .filter_map(|run| Some((run, run.finished_at? - run.started_at?)))
            .collect();
        let mut sorted: Vec<TimeDelta> = ran.iter().map(|(_, time)| *time).collect();
        sorted.sort_unstable();
        let (shortest, longest) = (*sorted.first()?, *sorted.last()?);
        if sorted.len() < 2 {
            return None;
        }
        let words = |time: TimeDelta| {
            let begin = chrono::DateTime::UNIX_EPOCH;
            lasted(begin, begin + time)
        };
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2,
            _ => sorted[middle],
        };
        let whole = longest.num_milliseconds().max(1);
        let places = ran.len().max(FEWEST);
        let bars = (places - ran.len()..)
            .zip(&ran)
            .map(|(place, (run, time))| {
                let height = (time.num_milliseconds().max(0) * HEIGHT / whole).max(VISIBLE);
                let mark = run_mark(run.state);
                DurationBar {
                    x: place * PITCH,
                    y: HEIGHT - height,
                    height,
                    class: mark.class,
                    label: format!(
                        "run {}, {}: {}, {}",
                        run.id.0,
                        shown(run.created_at, zone),
                        mark.word,
                        words(*time)
                    ),
                }
            })
            .collect();
        Some(Self {
            width: places * PITCH,
            bars,
            label: format!(
                "Durations of the last {} runs: shortest {}, median {}, longest {}",
                ran.len(),
                words(shortest),
                words(median),
                words(longest)
            ),
            longest: words(longest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lifecycle::{RunId, RunState, Trigger};
    use crate::domain::names::TaskName;
    use crate::domain::task::TaskId;

    fn run(id: i64, seconds: i64) -> Run {
        let at = |second| chrono::DateTime::from_timestamp(second, 0).unwrap();
        let name = TaskName::new("t").unwrap();
        let mut run = Run::new(
            RunId(id),
            TaskId(1),
            name,
            vec![],
            Trigger::Manual,
            None,
            at(0),
        );
        run.state = RunState::Success;
        run.started_at = Some(at(0));
        run.finished_at = Some(at(seconds));
        run
    }

    #[test]
    fn the_longest_reaches_the_top_and_the_newest_is_right() {
        let runs = [run(3, 50), run(2, 0), run(1, 100)];
        let chart = Durations::new(&runs, Zone::utc()).unwrap();
        let heights: Vec<i64> = chart.bars.iter().map(|bar| bar.height).collect();
        assert_eq!(heights, [100, 3, 50]);
        assert_eq!(chart.bars[2].x, chart.width - PITCH);
        assert!(
            chart
                .label
                .ends_with("shortest 0 ms, median 50 s, longest 1 min 40 s")
        );
        let even = Durations::new(&runs[..2], Zone::utc()).unwrap();
        assert!(even.label.contains("median 25 s"), "{}", even.label);
        assert_eq!(Durations::new(&runs[..1], Zone::utc()), None);
    }
}
