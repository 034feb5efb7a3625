//! Names of time zones, with help for those that are nearly right.

use std::fmt;

use crate::zones::{self, Zone};

/// The longest name worth comparing; the longest that exists has 30 bytes.
const MAX_NAME: usize = 64;

/// The number of names that an error proposes.
const PROPOSED: usize = 3;

/// A name that no time zone has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ZoneError {
    name: String,
    near: Vec<&'static str>,
}

impl ZoneError {
    /// Names that look alike, the closest first; may be empty.
    #[must_use]
    pub fn near(&self) -> &[&'static str] {
        &self.near
    }
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return f.write_str("the time zone is empty, use a name such as Europe/Paris or UTC");
        }
        write!(f, "{:?} is not a known time zone, ", self.name)?;
        match self.near[..] {
            [] => f.write_str("use a name such as Europe/Paris or UTC"),
            [one] => write!(f, "did you mean {one}?"),
            [ref most @ .., last] => write!(f, "did you mean {} or {last}?", most.join(", ")),
        }
    }
}

/// Reads an IANA name like `Europe/Paris`.
///
/// # Errors
/// [`ZoneError`] when there is no such zone; it proposes names that differ by case, by a few
/// letters, or by a missing region.
pub fn parse_zone(name: &str) -> Result<Zone, ZoneError> {
    zones::find(name).ok_or_else(|| ZoneError {
        name: name.chars().take(MAX_NAME).collect(),
        near: near(name),
    })
}

fn near(name: &str) -> Vec<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Vec::new();
    }
    let wanted = folded(name);
    let allowed = (wanted.len() / 4).clamp(1, 3);
    let mut found: Vec<(usize, &'static str)> = zones::names()
        .filter_map(|zone| {
            let known = folded(zone);
            let city = known.rsplit('/').next().unwrap_or_default();
            let apart = distance(&wanted, &known).min(distance(&wanted, city) + 1);
            (apart <= allowed).then_some((apart, zone))
        })
        .collect();
    found.sort_unstable();
    found.truncate(PROPOSED);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Case and the signs people put between words do not count.
fn folded(name: &str) -> String {
    name.to_lowercase().replace([' ', '-'], "_")
}

/// The number of letters to insert, delete or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.windows(2)) {
            let (diagonal, up) = (above[0], above[1]);
            left = (diagonal + usize::from(x != *y)).min(up + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
