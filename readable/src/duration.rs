//! Durations with at most two units.

/// `340 ms`, `9.9 s`, `42 s`, `3 min 5 s`, `2 h 10 min`: rounded down.
#[must_use]
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..10 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_duration_reads_well_at_every_size() {
        for (milliseconds, words) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (9_990, "9.9 s"),
            (42_000, "42 s"),
            (185_000, "3 min 5 s"),
            (7_800_000, "2 h 10 min"),
            (u64::MAX, "5124095576030 h 25 min"),
        ] {
            assert_eq!(duration(milliseconds), words);
        }
    }
}
