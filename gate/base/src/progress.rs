//! Progress of a piece of work: one line a second, in one form for all long work.
//!
//! Invariant: `parse(print(p)) == p`, and a line that parses prints unchanged: the runner draws a bar from these
//! lines, so there is exactly one spelling. `GRAMMAR.md` has it as a regular expression.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Time between two lines.
pub const INTERVAL: Duration = Duration::from_secs(1);

const PREFIX: &str = "progress: ";

/// Phase of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The source is walked to know how much there is.
    Measuring,
    /// The archive is written into the spool.
    Packing,
    /// The data is copied on this host, so that its service can start.
    Capturing,
    /// The written archive is read back.
    Checking,
    /// Source and copy are compared, and nothing is changed.
    Comparing,
    /// The copy is made like the source.
    Mirroring,
    /// The archive goes to the remote.
    Uploading,
    /// An archive or a mirror comes back from the remote.
    Downloading,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 8] = [
        Self::Measuring,
        Self::Packing,
        Self::Capturing,
        Self::Checking,
        Self::Comparing,
        Self::Mirroring,
        Self::Uploading,
        Self::Downloading,
    ];

    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measuring => "measuring",
            Self::Packing => "packing",
            Self::Capturing => "capturing",
            Self::Checking => "checking",
            Self::Comparing => "comparing",
            Self::Mirroring => "mirroring",
            Self::Uploading => "uploading",
            Self::Downloading => "downloading",
        }
    }
}

/// The reason why work stands still for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The remote asks for fewer requests.
    Throttled,
    /// There is no way to the remote.
    Unreachable,
    /// Connections break, or the remote has an error of its own.
    Broken,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Throttled, Self::Unreachable, Self::Broken];

    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled by the remote",
            Self::Unreachable => "the remote cannot be reached",
            Self::Broken => "the connection to the remote broke",
        }
    }
}

/// The work stands still until the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The reason.
    pub cause: Cause,
    /// Seconds until the next try.
    pub seconds: u64,
}

/// A number that is done, and the total if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    done: u64,
    total: Option<u64>,
}

impl Amount {
    /// `done` is cut at `total`: bytes that are sent again after an error are not more work.
    #[must_use]
    pub fn new(done: u64, total: Option<u64>) -> Self {
        Self {
            done: total.map_or(done, |total| done.min(total)),
            total,
        }
    }

    fn percent(self) -> Option<u64> {
        let total = self.total.filter(|&total| total > 0)?;
        u64::try_from(u128::from(self.done) * 100 / u128::from(total)).ok()
    }
}

/// One line of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Bytes.
    pub bytes: Amount,
    /// Files.
    pub files: Amount,
    /// Tenths of a megabyte (of a million bytes) a second.
    pub speed: u64,
    /// Seconds until the end, where that can be told.
    pub left: Option<u64>,
    /// Set while the work stands still.
    pub waiting: Option<Waiting>,
}

impl Progress {
    /// From the counted numbers and a speed in bytes a second.
    #[must_use]
    pub fn new(phase: Phase, bytes: Amount, files: Amount, speed: u64) -> Self {
        let rest = bytes.total.map(|total| total - bytes.done);
        Self {
            phase,
            bytes,
            files,
            speed: speed / 100_000,
            left: rest.and_then(|rest| rest.checked_div(speed)),
            waiting: None,
        }
    }

    /// The same while the work stands still.
    #[must_use]
    pub fn waiting(self, waiting: Waiting) -> Self {
        Self {
            speed: 0,
            left: None,
            waiting: Some(waiting),
            ..self
        }
    }

    /// Reads a line; `None` for anything that is not exactly one.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix(PREFIX)?;
        let (_percent, rest) = rest.split_once("% ")?;
        let (bytes, rest) = amount(rest, " bytes, ")?;
        let (files, rest) = amount(rest, " files, ")?;
        let (speed, rest) = rest.split_once(" MB/s, ")?;
        let (whole, tenth) = speed.split_once('.')?;
        let speed = number(whole)?
            .checked_mul(10)?
            .checked_add(number(tenth).filter(|&tenth| tenth < 10)?)?;
        let (left, rest) = rest.split_once(" s left (")?;
        let left = unknown_or_number(left)?;
        let words = rest.strip_suffix(')')?;
        let (word, waiting) = match words.split_once("; ") {
            None => (words, None),
            Some((word, waiting)) => {
                let (cause, seconds) = waiting.strip_suffix(" s")?.split_once(", next try in ")?;
                let cause = Cause::ALL.into_iter().find(|c| c.as_str() == cause)?;
                let seconds = number(seconds)?;
                (word, Some(Waiting { cause, seconds }))
            }
        };
        let phase = Phase::ALL.into_iter().find(|p| p.as_str() == word)?;
        let progress = Self {
            phase,
            bytes,
            files,
            speed,
            left,
            waiting,
        };
        // The percentage follows from the rest, and numbers have one spelling.
        (progress.to_string() == line).then_some(progress)
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The outer `None` is for text that is neither.
fn unknown_or_number(text: &str) -> Option<Option<u64>> {
    match text {
        "?" => Some(None),
        text => number(text).map(Some),
    }
}

fn amount<'a>(text: &'a str, end: &str) -> Option<(Amount, &'a str)> {
    let (amount, rest) = text.split_once(end)?;
    let (done, total) = amount.split_once(" of ")?;
    let amount = Amount::new(number(done)?, unknown_or_number(total)?);
    Some((amount, rest))
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
        let percent = self.bytes.percent().or_else(|| self.files.percent());
        write!(
            f,
            "{PREFIX}{}% {} of {} bytes, {} of {} files, {}.{} MB/s, {} s left ({}",
            show(percent),
            self.bytes.done,
            show(self.bytes.total),
            self.files.done,
            show(self.files.total),
            self.speed / 10,
            self.speed % 10,
            show(self.left),
            self.phase.as_str()
        )?;
        if let Some(Waiting { cause, seconds }) = self.waiting {
            write!(f, "; {}, next try in {seconds} s", cause.as_str())?;
        }
        f.write_str(")")
    }
}

/// Says when the next line is due, and how fast the work has been so far.
#[derive(Debug)]
pub struct Meter {
    phase: Phase,
    bytes: Option<u64>,
    files: Option<u64>,
    begun: Instant,
    told: Instant,
}

impl Meter {
    /// Begins a phase with its totals, where they are known.
    #[must_use]
    pub fn new(phase: Phase, bytes: Option<u64>, files: Option<u64>, now: Instant) -> Self {
        Self {
            phase,
            bytes,
            files,
            begun: now,
            told: now,
        }
    }

    /// The line for now, if one is due.
    pub fn tick(&mut self, now: Instant, bytes: u64, files: u64) -> Option<Progress> {
        if now.duration_since(self.told) < INTERVAL {
            return None;
        }
        self.told = now;
        let millis = now.duration_since(self.begun).as_millis().max(1);
        let speed = u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX);
        Some(Progress::new(
            self.phase,
            Amount::new(bytes, self.bytes),
            Amount::new(files, self.files),
            speed,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Progress {
        Progress::new(
            Phase::Uploading,
            Amount::new(1_234_567, Some(2_939_393)),
            Amount::new(12, Some(30)),
            3_140_000,
        )
    }

    #[test]
    fn the_line_is_as_the_grammar_has_it() {
        assert_eq!(
            sample().to_string(),
            "progress: 42% 1234567 of 2939393 bytes, 12 of 30 files, 3.1 MB/s, 0 s left (uploading)"
        );
        let unknown = Progress::new(
            Phase::Comparing,
            Amount::new(0, None),
            Amount::new(7, None),
            0,
        );
        assert_eq!(
            unknown.to_string(),
            "progress: ?% 0 of ? bytes, 7 of ? files, 0.0 MB/s, ? s left (comparing)"
        );
    }

    #[test]
    fn a_line_says_why_the_work_stands_still() {
        let waiting = Waiting {
            cause: Cause::Throttled,
            seconds: 43,
        };
        assert_eq!(
            sample().waiting(waiting).to_string(),
            "progress: 42% 1234567 of 2939393 bytes, 12 of 30 files, 0.0 MB/s, ? s left (uploading; throttled by the remote, next try in 43 s)"
        );
    }

    #[test]
    fn other_spellings_are_not_progress() {
        let line = sample().to_string();
        for (from, to) in [
            ("42%", "43%"),
            ("42%", "042%"),
            ("1234567", "01234567"),
            ("12 of", "+12 of"),
            ("12 of 30", "31 of 30"),
            ("3.1", "3.10"),
            ("3.1", "3"),
            ("uploading", "doing"),
            ("progress", "Progress"),
            ("(uploading)", "(uploading) "),
        ] {
            let other = line.replace(from, to);
            assert_ne!(other, line);
            assert_eq!(Progress::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_line_comes_once_a_second() {
        let begun = Instant::now();
        let mut meter = Meter::new(Phase::Packing, Some(10_000_000), None, begun);
        let after = |millis| begun + Duration::from_millis(millis);
        assert_eq!(meter.tick(after(999), 1, 0), None);
        let line = meter.tick(after(1000), 2_000_000, 3).unwrap();
        assert_eq!((line.speed, line.left), (20, Some(4)));
        assert_eq!(meter.tick(after(1500), 3_000_000, 3), None);
        assert!(meter.tick(after(2100), 4_000_000, 3).is_some());
    }

    prop_compose! {
        fn any_amount()(done in any::<u64>(), total in any::<Option<u64>>()) -> Amount {
            Amount::new(done, total)
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_print(phase in 0..Phase::ALL.len(), bytes in any_amount(), files in any_amount(), speed in any::<u64>(), left in any::<Option<u64>>(), waiting in proptest::option::of((0..Cause::ALL.len(), any::<u64>()))) {
            let waiting = waiting.map(|(cause, seconds)| Waiting { cause: Cause::ALL[cause], seconds });
            let progress = Progress { phase: Phase::ALL[phase], bytes, files, speed, left, waiting };
            prop_assert_eq!(Progress::parse(&progress.to_string()), Some(progress));
        }

        #[test]
        fn what_parses_prints_as_it_was(line in "progress: [0-9?]{1,3}% [0-9]{1,3} of [0-9?]{1,3} bytes, [0-9]{1,2} of [0-9?]{1,2} files, [0-9]\\.[0-9] MB/s, [0-9?] s left \\((packing|checking)\\)") {
            if let Some(progress) = Progress::parse(&line) {
                prop_assert_eq!(progress.to_string(), line);
            }
        }

        #[test]
        fn nothing_makes_it_panic(line in ".*") {
            let _ = Progress::parse(&line);
            let _ = Progress::parse(&format!("{PREFIX}{line}"));
        }
    }
}
