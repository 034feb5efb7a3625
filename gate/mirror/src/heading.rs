//! The first two lines of a manifest or a delta: its mirror, its number, its owner and its night.
//!
//! Invariant: each value has one spelling.

use std::fmt;

use base::error::Failure;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

use crate::lines::wrong;
use crate::names::Number;

/// The form of a moment; the end says UTC.
const MOMENT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// The folder of a transition below `.versions`.
const VERSIONS: &str = "%Y-%m-%d/%H%M%S-%3f";

/// The board that writes a mirror: 16 random hexadecimal digits, made once for each state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// Reads 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 16 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// The owner with these random bytes.
    #[must_use]
    pub fn of(bytes: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(bytes)))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A moment in UTC, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AsOf(DateTime<Utc>);

impl AsOf {
    /// This moment, without its fraction of a second.
    #[must_use]
    pub fn of(moment: DateTime<Utc>) -> Self {
        Self(moment.trunc_subsecs(0))
    }

    /// The moment.
    #[must_use]
    pub fn moment(self) -> DateTime<Utc> {
        self.0
    }

    /// Reads `2026-12-01T03:00:00Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = NaiveDateTime::parse_from_str(text, MOMENT).ok()?;
        Some(Self(parsed.and_utc())).filter(|moment| moment.to_string() == text)
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format(MOMENT))
    }
}

/// The folder below `.versions` for the files that one transition replaces or deletes: `2026-12-01/030000-123`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionsFolder(String);

impl VersionsFolder {
    /// The folder of a transition that begins at this local time.
    #[must_use]
    pub fn of(local: NaiveDateTime) -> Self {
        Self(local.format(VERSIONS).to_string())
    }

    /// Reads a folder's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = NaiveDateTime::parse_from_str(text, VERSIONS).ok()?;
        Some(Self::of(parsed)).filter(|folder| folder.0 == text)
    }

    /// The name, with one slash in it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionsFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first two lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The name of the service; `extra-NAME` for an extra target.
    pub subject: String,
    /// The number of the manifest or delta.
    pub number: Number,
    /// The board that wrote it.
    pub owner: Owner,
    /// The moment at which the data was captured.
    pub as_of: AsOf,
    /// The folder for replaced and deleted files. A delta has one, a full manifest has none.
    pub versions: Option<VersionsFolder>,
}

impl Heading {
    /// True if a full manifest has no folder for replaced files, and a delta has one.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.number.is_full() == self.versions.is_none()
            && !self.subject.is_empty()
            && self.subject.bytes().all(|byte| byte.is_ascii_graphic())
    }

    pub(crate) fn lines(&self) -> [String; 2] {
        let first = match self.number.is_full() {
            true => "backupctl-manifest 2",
            false => "backupctl-delta 1",
        };
        let mut second = format!(
            "mirror {} {} {}",
            self.number.short(),
            self.owner,
            self.as_of
        );
        if let Some(versions) = &self.versions {
            second.push_str(&format!(" {versions}"));
        }
        [format!("{first} {}.mirror", self.subject), second]
    }

    pub(crate) fn read(first: &str, second: &str) -> Result<Self, Failure> {
        let newer = || {
            wrong(
                "its first line is not that of a mirror's manifest or delta; if a newer gate wrote it, use that",
            )
        };
        let (kind, subject) = first.rsplit_once(' ').ok_or_else(newer)?;
        let subject = subject.strip_suffix(".mirror").ok_or_else(newer)?;
        let is_full = match kind {
            "backupctl-manifest 2" => true,
            "backupctl-delta 1" => false,
            _ => return Err(newer()),
        };
        let parse = || {
            let words: Vec<&str> = second.strip_prefix("mirror ")?.split(' ').collect();
            let (number, owner, as_of, versions) = match words.as_slice() {
                [number, owner, as_of] => (number, owner, as_of, None),
                [number, owner, as_of, versions] => (number, owner, as_of, Some(versions)),
                _ => return None,
            };
            Some(Self {
                subject: subject.to_owned(),
                number: Number::parse_short(number)?,
                owner: Owner::parse(owner)?,
                as_of: AsOf::parse(as_of)?,
                versions: match versions {
                    Some(versions) => Some(VersionsFolder::parse(versions)?),
                    None => None,
                },
            })
        };
        parse()
            .filter(|heading| heading.is_valid() && heading.number.is_full() == is_full)
            .ok_or_else(|| wrong("its second line is not one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_spelling() {
        for text in ["2026-12-01T03:00:00Z", "1999-02-28T23:59:59Z"] {
            assert_eq!(AsOf::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "2026-12-01T03:00:00+00:00",
            "2026-12-1T03:00:00Z",
            "2026-02-30T03:00:00Z",
            "2026-12-01T03:00:00.5Z",
            "",
        ] {
            assert_eq!(AsOf::parse(text), None, "{text}");
        }
        assert_eq!(
            VersionsFolder::parse("2026-12-01/030000-007")
                .unwrap()
                .as_str(),
            "2026-12-01/030000-007"
        );
        for text in [
            "2026-12-01/030000-7",
            "2026-12-01/030000",
            "../030000-007",
            "2026-12-01/030000-0070",
        ] {
            assert_eq!(VersionsFolder::parse(text), None, "{text}");
        }
        assert_eq!(
            Owner::of([0, 1, 2, 3, 4, 5, 6, 255]).to_string(),
            "00010203040506ff"
        );
        assert_eq!(Owner::parse("00010203040506FF"), None);
    }
}
