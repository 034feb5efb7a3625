//! The progress that a step reports: a line `progress: 42% …`. The gate prints one a second
//! (its `GRAMMAR.md` has the whole form) and any script may print its own.

use readable::size;
use std::fmt;

/// Longest text after the percentage that is shown.
const MOST_TEXT: usize = 160;

/// One such line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100; none where the end is not known.
    pub percent: Option<u8>,
    /// The rest of the line, for reading.
    pub text: String,
}

impl Progress {
    /// Reads a line; none for anything else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (percent, rest) = line.strip_prefix("progress: ")?.split_once('%')?;
        let text = match rest {
            "" => "",
            rest => rest.strip_prefix(' ')?.trim(),
        };
        let percent = match percent {
            "?" => None,
            digits if (1..=3).contains(&digits.len()) => Some(
                digits
                    .parse()
                    .ok()
                    .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .filter(|percent| *percent <= 100)?,
            ),
            _ => return None,
        };
        Some(Self {
            percent,
            text: with_sizes(text).chars().take(MOST_TEXT).collect(),
        })
    }
}

impl Progress {
    /// Reports if the gate sends files to the remote, by the phase at the end of its line.
    #[must_use]
    pub fn uploads(&self) -> bool {
        let phase = self.text.rsplit_once('(').map_or("", |(_, phase)| phase);
        phase.starts_with("uploading") || phase.starts_with("mirroring")
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent {
            Some(percent) => write!(f, "{percent} %, {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Numbers of bytes as people read them, where the line is one of the gate's.
fn with_sizes(text: &str) -> String {
    let shorter = || {
        let (bytes, rest) = text.split_once(" bytes, ")?;
        let (done, total) = bytes.split_once(" of ")?;
        let done = size(done.parse().ok()?);
        let total = match total {
            "?" => "?".to_owned(),
            total => size(total.parse().ok()?),
        };
        Some(format!("{done} of {total}, {rest}"))
    };
    shorter().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gates_line_is_understood() {
        let line = "progress: 42% 1234567 of 2939393 bytes, 12 of 30 files, 3.1 MB/s, 9 s left (uploading)";
        let progress = Progress::parse(line).unwrap();
        assert_eq!(progress.percent, Some(42));
        assert_eq!(
            progress.text,
            "1.1 MiB of 2.8 MiB, 12 of 30 files, 3.1 MB/s, 9 s left (uploading)"
        );
        let line = "progress: ?% 0 of ? bytes, 7 of ? files, 0.0 MB/s, ? s left (comparing)";
        let progress = Progress::parse(line).unwrap();
        assert_eq!(progress.percent, None);
        assert!(progress.text.starts_with("0 B of ?, 7 of ? files"));
    }

    #[test]
    fn a_script_may_say_less() {
        let of = |line| Progress::parse(line).map(|p| (p.percent, p.text));
        assert_eq!(of("progress: 7%"), Some((Some(7), String::new())));
        assert_eq!(
            of("progress: 100% cooking"),
            Some((Some(100), "cooking".to_owned()))
        );
        for other in [
            "progress: 101%",
            "progress: +7%",
            "progress: %",
            "progress: 7",
            "progress: 7%x",
            "progress: 0007%",
            " progress: 7%",
            "Progress: 7%",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
