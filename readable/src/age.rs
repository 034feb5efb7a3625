//! Times as seen from now.

/// `just now`, `45 min ago`, `26 h ago`, `9 days ago`, and `in 5 min` for a negative age. It is rounded down, in the
/// largest unit of which there are at least two.
#[must_use]
pub fn age(seconds: i64) -> String {
    let span = match seconds.unsigned_abs() {
        0..5 => return "just now".to_owned(),
        s @ 5..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    };
    if seconds < 0 {
        format!("in {span}")
    } else {
        format!("{span} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn an_age_is_rounded_down_and_goes_both_ways() {
        for (seconds, words) in [
            (0, "just now"),
            (-4, "just now"),
            (119, "119 s ago"),
            (-42, "in 42 s"),
            (7199, "119 min ago"),
            (7200, "2 h ago"),
            (93_600, "26 h ago"),
            (172_800, "2 days ago"),
            (-600, "in 10 min"),
            (i64::MIN, "in 106751991167300 days"),
        ] {
            assert_eq!(age(seconds), words);
        }
    }
}
