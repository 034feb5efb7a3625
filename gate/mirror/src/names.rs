//! The file names of a mirror's books, and of contents in the incoming folder.
//!
//! Invariant: each name has one spelling, and every other name is none of the mirror's.

use std::fmt;

use archive::digest::Digest;

/// The highest generation that six digits hold.
const LAST_GENERATION: u32 = 999_999;

/// The highest delta that four digits hold.
const LAST_DELTA: u32 = 9_999;

/// The number of a manifest: its generation, and the delta on it. Delta 0 is the full manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    generation: u32,
    delta: u32,
}

impl Number {
    /// The full manifest of a generation; `None` beyond six digits, and for 0.
    #[must_use]
    pub fn full(generation: u32) -> Option<Self> {
        (1..=LAST_GENERATION).contains(&generation).then_some(Self {
            generation,
            delta: 0,
        })
    }

    /// The next delta on the same full manifest; `None` beyond four digits.
    #[must_use]
    pub fn next_delta(self) -> Option<Self> {
        (self.delta < LAST_DELTA).then_some(Self {
            delta: self.delta + 1,
            ..self
        })
    }

    /// The full manifest after this generation; `None` beyond six digits.
    #[must_use]
    pub fn next_full(self) -> Option<Self> {
        Self::full(self.generation + 1)
    }

    /// The generation, which the full manifest and its deltas share.
    #[must_use]
    pub fn generation(self) -> u32 {
        self.generation
    }

    /// The number of the delta; 0 for the full manifest.
    #[must_use]
    pub fn delta(self) -> u32 {
        self.delta
    }

    /// True for a full manifest.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.delta == 0
    }

    /// Reads `GGGGGG.NNNN`, the form of [`Display`](fmt::Display).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (generation, delta) = text.split_once('.')?;
        let full = Self::full(digits(generation, 6)?)?;
        Some(Self {
            delta: digits(delta, 4)?,
            ..full
        })
    }

    /// Reads the number in the second line of a manifest (`GGGGGG`) or of a delta (`GGGGGG.NNNN`).
    #[must_use]
    pub fn parse_short(text: &str) -> Option<Self> {
        match text.contains('.') {
            true => Self::parse(text).filter(|number| !number.is_full()),
            false => Self::full(digits(text, 6)?),
        }
    }

    /// The form that [`parse_short`](Self::parse_short) reads.
    #[must_use]
    pub fn short(self) -> String {
        match self.delta {
            0 => format!("{:06}", self.generation),
            delta => format!("{:06}.{delta:04}", self.generation),
        }
    }
}

/// `GGGGGG.NNNN`; NNNN is 0000 for the full manifest.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}.{:04}", self.generation, self.delta)
    }
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn is_hex(text: &str, count: usize) -> bool {
    text.len() == count
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// One file of a mirror's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Book {
    /// A full manifest or a delta.
    Manifest(Number),
    /// The file that says which night `data/` is the copy of.
    Complete,
    /// The archive of entries with names that the remote cannot hold; the first 16 digits of its SHA-256.
    Bundle(BundleName),
}

impl Book {
    /// Reads a file name. `prefix` is that of the mirror; other names are none of its books.
    #[must_use]
    pub fn parse(prefix: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(prefix)?;
        if rest == "complete" {
            return Some(Self::Complete);
        }
        if let Some(number) = rest
            .strip_prefix("manifest-")
            .and_then(|rest| rest.strip_suffix(".gz"))
        {
            return Number::parse_short(number).map(Self::Manifest);
        }
        let digits = rest.strip_prefix("bundle-")?.strip_suffix(".tar.gz")?;
        BundleName::parse(digits).map(Self::Bundle)
    }

    /// The file name in the folder of books.
    #[must_use]
    pub fn name(&self, prefix: &str) -> String {
        match self {
            Self::Manifest(number) => format!("{prefix}manifest-{}.gz", number.short()),
            Self::Complete => format!("{prefix}complete"),
            Self::Bundle(bundle) => format!("{prefix}bundle-{bundle}.tar.gz"),
        }
    }
}

/// The name of a bundle: the first 16 digits of its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleName(String);

impl BundleName {
    /// The name of a bundle with this digest.
    #[must_use]
    pub fn of(bundle: Digest) -> Self {
        Self(bundle.to_string().chars().take(16).collect())
    }

    /// Reads 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_hex(text, 16).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a content in the incoming folder: the first 32 digits of its SHA-256, and `.2`, `.3`, … for further
/// files with the same content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncomingName(String);

impl IncomingName {
    /// The name for the `nth` file with this content, counted from 1.
    #[must_use]
    pub fn of(content: Digest, nth: u32) -> Self {
        let key: String = content.to_string().chars().take(32).collect();
        Self(match nth {
            0 | 1 => key,
            nth => format!("{key}.{nth}"),
        })
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, fits) = match text.split_once('.') {
            None => (text, true),
            Some((key, nth)) => {
                let number: Option<u32> = nth.parse().ok();
                let spelled = number.is_some_and(|n| n >= 2 && n.to_string() == nth);
                (key, spelled)
            }
        };
        (fits && is_hex(key, 32)).then(|| Self(text.to_owned()))
    }

    /// The name as it stands in the folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as a number, and the `nth`.
    pub(crate) fn parts(&self) -> (u128, u32) {
        let (key, nth) = self.0.split_once('.').unwrap_or((&self.0, "1"));
        (
            u128::from_str_radix(key, 16).unwrap_or_default(),
            nth.parse().unwrap_or(1),
        )
    }
}

impl fmt::Display for IncomingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn books_have_the_names_of_the_grammar() {
        for (name, number) in [
            ("mirror.manifest-000007.gz", "000007.0000"),
            ("mirror.manifest-000007.0012.gz", "000007.0012"),
        ] {
            let book = Book::parse("mirror.", name);
            assert_eq!(book, Number::parse(number).map(Book::Manifest), "{name}");
            assert_eq!(book.unwrap().name("mirror."), name);
        }
        assert_eq!(Book::parse("etc.", "etc.complete"), Some(Book::Complete));
        let bundle = Book::parse("etc.", "etc.bundle-0123456789abcdef.tar.gz").unwrap();
        assert_eq!(bundle.name("etc."), "etc.bundle-0123456789abcdef.tar.gz");
        for name in [
            "mirror.manifest-000000.gz",
            "mirror.manifest-7.gz",
            "mirror.manifest-0000007.gz",
            "mirror.manifest-000007.0000.gz",
            "mirror.manifest-000007.12.gz",
            "mirror.manifest-000007.0012.gz.partial",
            "mirror.manifest-+00007.gz",
            "mirror.complete.1",
            "mirror.bundle-0123456789ABCDEF.tar.gz",
            "mirror.bundle-0123.tar.gz",
            "etc.complete",
            "complete",
        ] {
            assert_eq!(Book::parse("mirror.", name), None, "{name}");
        }
    }

    #[test]
    fn a_number_ends_with_its_digits() {
        let last = Number::parse("999999.9999").unwrap();
        assert_eq!((last.next_delta(), last.next_full()), (None, None));
        let first = Number::full(1).unwrap();
        assert_eq!(first.next_delta().unwrap().to_string(), "000001.0001");
        assert_eq!(first.next_full().unwrap().short(), "000002");
        assert_eq!(Number::full(0), None);
    }

    #[test]
    fn incoming_names_tell_their_content() {
        let digest = archive::digest::Hasher::default().finish();
        let first = IncomingName::of(digest, 1);
        assert_eq!(first.as_str(), "e3b0c44298fc1c149afbf4c8996fb924");
        let second = IncomingName::of(digest, 2);
        assert_eq!(second.as_str(), "e3b0c44298fc1c149afbf4c8996fb924.2");
        for name in [first, second] {
            assert_eq!(IncomingName::parse(name.as_str()), Some(name));
        }
        for name in [
            "",
            "e3b0",
            "e3b0c44298fc1c149afbf4c8996fb924.1",
            "e3b0c44298fc1c149afbf4c8996fb924.02",
            "e3b0c44298fc1c149afbf4c8996fb924.2.3",
            "../0c44298fc1c149afbf4c8996fb9242",
        ] {
            assert_eq!(IncomingName::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn names_have_one_spelling(name in "m\\.(manifest-[0-9.]{5,12}\\.gz|bundle-[0-9a-f]{15,17}\\.tar\\.gz|complete)") {
            if let Some(book) = Book::parse("m.", &name) {
                prop_assert_eq!(book.name("m."), name);
            }
        }
    }
}
