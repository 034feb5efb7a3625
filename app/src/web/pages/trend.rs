//! The growth of a task's backups: the newest size, and a line through the last ones.

use crate::store::fares::Kept;

/// Size of the drawing, in its own units.
pub(super) const WIDTH: usize = 100;
pub(super) const HEIGHT: usize = 24;

/// A trend, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trend {
    /// The newest size.
    pub(super) now: String,
    /// The points of a line; empty where there is one size only.
    pub(super) points: String,
    /// The trend in words.
    pub(super) label: String,
}

impl Trend {
    /// The trend of archives, or where there are none that of the files in the mirror.
    pub(super) fn new(sizes: &[Kept]) -> Option<Self> {
        let bytes: Vec<u64> = sizes.iter().filter_map(|kept| kept.bytes).collect();
        if !bytes.is_empty() {
            return Self::of("archive", &bytes, readable::size);
        }
        let files: Vec<u64> = sizes.iter().filter_map(|kept| kept.files).collect();
        Self::of("mirror", &files, |files| match files {
            1 => "1 file".to_owned(),
            _ => format!("{files} files"),
        })
    }

    fn of(what: &str, values: &[u64], show: impl Fn(u64) -> String) -> Option<Self> {
        let (first, last) = (*values.first()?, *values.last()?);
        let mut label = format!("{what}: {}", show(last));
        if values.len() > 1 {
            label.push_str(&format!(
                ", {} in the first of the last {}",
                show(first),
                values.len()
            ));
        }
        Some(Self {
            now: show(last),
            points: points(values),
            label,
        })
    }
}

/// The line, from the left edge to the right one, the largest value at the top. It does not
/// begin at zero: a jump matters, and a jump shows.
fn points(values: &[u64]) -> String {
    let (Some(min), Some(max)) = (values.iter().min(), values.iter().max()) else {
        return String::new();
    };
    if values.len() < 2 {
        return String::new();
    }
    // Two units of air at top and bottom, for the width of the line.
    let room = (HEIGHT - 4) as f64;
    let span = (max - min) as f64;
    let steps = (values.len() - 1) as f64;
    let points: Vec<String> = (0u32..)
        .zip(values)
        .map(|(at, value)| {
            let x = f64::from(at) * WIDTH as f64 / steps;
            let share = if span > 0.0 {
                (value - min) as f64 / span
            } else {
                0.5
            };
            format!("{x:.0},{:.1}", 2.0 + room * (1.0 - share))
        })
        .collect();
    points.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: Option<u64>, files: Option<u64>) -> Kept {
        let at = chrono::DateTime::from_timestamp(0, 0).unwrap();
        Kept { at, bytes, files }
    }

    #[test]
    fn archives_come_before_files() {
        let sizes = [
            kept(None, Some(10)),
            kept(Some(1024), Some(11)),
            kept(Some(2048), None),
        ];
        let trend = Trend::new(&sizes).unwrap();
        assert_eq!(trend.now, "2.0 KiB");
        assert_eq!(trend.points, "0,22.0 100,2.0");
        let trend = Trend::new(&sizes[..1]).unwrap();
        assert_eq!(
            (trend.now.as_str(), trend.points.as_str()),
            ("10 files", "")
        );
        assert_eq!(Trend::new(&[]), None);
    }

    #[test]
    fn what_stays_the_same_is_a_line_in_the_middle() {
        assert_eq!(points(&[5, 5, 5]), "0,12.0 50,12.0 100,12.0");
        assert!(points(&[0, u64::MAX]).ends_with("100,2.0"));
    }
}
