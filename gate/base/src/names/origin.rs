//! Where a verification or a restore gets its data: the archive of a day, or the mirror.
//!
//! Invariant: a day has one spelling, that of an archive's name, and is a day of the calendar.

use std::fmt;

use chrono::NaiveDate;

use super::error::{NameError, refuse};

/// The day of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(NaiveDate);

impl Day {
    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// For other spellings, and for days that do not exist.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        let day = NaiveDate::parse_from_str(word, "%Y-%m-%d").map(Self);
        // chrono reads 2026-1-2 as well.
        day.ok()
            .filter(|day| day.to_string() == word)
            .ok_or_else(|| refuse(word, "a day, as in 2026-11-22"))
    }

    /// The day.
    #[must_use]
    pub fn get(self) -> NaiveDate {
        self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m-%d").fmt(f)
    }
}

/// What is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The archive of a day.
    Archive(Day),
    /// The mirror.
    Mirror,
}

impl Origin {
    const MIRROR: &'static str = "mirror";

    /// Reads a day or `mirror`.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        if word == Self::MIRROR {
            return Ok(Self::Mirror);
        }
        Day::parse(word)
            .map(Self::Archive)
            .map_err(|_| refuse(word, "a day, as in 2026-11-22, or the word mirror"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(day) => day.fmt(f),
            Self::Mirror => f.write_str(Self::MIRROR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_spelling() {
        for word in ["2026-11-22", "mirror"] {
            assert_eq!(Origin::parse(word).unwrap().to_string(), word);
        }
        for word in [
            "",
            "2026-1-2",
            "2026-02-30",
            "20261122",
            "2026-11-22.tar.gz",
            "Mirror",
            "+2026-11-22",
            "12026-11-22",
        ] {
            assert!(Origin::parse(word).is_err(), "{word}");
            assert!(Day::parse(word).is_err(), "{word}");
        }
        assert!(Day::parse("mirror").is_err());
    }
}
