//! One line of a manifest or a delta: an entry, and the place of its content on the remote.
//!
//! Invariant: an entry has one spelling, and its path is a plain one at or below the root.

use archive::manifest::{Record, Version};
use archive::{MAX_DEPTH, ROOT};

use crate::names::{BundleName, IncomingName};

/// The place of a content, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stored {
    /// Under its path in `data`.
    #[default]
    Data,
    /// In the incoming folder until the transition moves it to its path. Only a delta says so.
    Incoming(IncomingName),
    /// In the bundle.
    Bundle(BundleName),
}

/// An entry with the place of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry. Its digest is that of the plain content, and absent while it is not known.
    pub record: Record,
    /// The place of its content.
    pub stored: Stored,
}

/// True for a path at or below the root that leads nowhere else.
#[must_use]
pub fn is_plain(path: &[u8]) -> bool {
    let mut parts = path.split(|&byte| byte == b'/');
    let plain = |part: &[u8]| {
        !matches!(part, b"" | b"." | b"..") && part.len() <= 255 && !part.contains(&0)
    };
    parts.next() == Some(ROOT.as_bytes())
        && parts.by_ref().take(MAX_DEPTH).all(plain)
        && parts.next().is_none()
}

/// The path of an entry below the folder of the data; `None` for the root.
#[must_use]
pub fn below_root(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(ROOT.as_bytes())?.strip_prefix(b"/")
}

impl Entry {
    /// An entry with its content under its path.
    #[must_use]
    pub fn in_data(record: Record) -> Self {
        Self {
            record,
            stored: Stored::Data,
        }
    }

    /// True if its content is a file of its own on the remote. A link's content is its target.
    #[must_use]
    pub fn has_content(&self) -> bool {
        matches!(self.record.letter, 'f' | 's')
    }

    /// The size of its content.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        if self.has_content() {
            self.record.size
        } else {
            0
        }
    }

    /// True if it can stand in a manifest: the values fit its type.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let Record {
            letter,
            size,
            content,
            path,
            target,
            at,
            hash,
            ..
        } = &self.record;
        let file = matches!(letter, 'f' | 's');
        let link = matches!(letter, 'l' | 'h');
        let known = file || link || matches!(letter, 'd' | 'p');
        let stores = matches!(letter, 'f' | 's' | 'l') || self.stored == Stored::Data;
        let linked = match (letter, target) {
            ('h', Some(target)) => is_plain(target) && target != path,
            ('l', Some(target)) => !target.is_empty() && !target.contains(&0),
            ('l' | 'h', None) => false,
            (_, target) => target.is_none(),
        };
        let root = path == ROOT.as_bytes();
        known
            && stores
            && linked
            && (file || (*size == 0 && content.is_none() && (hash.is_none() || *letter == 'l')))
            && at.is_none()
            && is_plain(path)
            && (!root || *letter == 'd')
    }

    /// Its line, without the line feed.
    #[must_use]
    pub fn line(&self) -> String {
        let plain = self.record.line(Version::Two);
        let field = match &self.stored {
            Stored::Data => return plain,
            Stored::Incoming(name) => format!("in=incoming:{name}"),
            Stored::Bundle(name) => format!("in=bundle:{name}"),
        };
        let mut words: Vec<&str> = plain.split(' ').collect();
        let at = FIXED
            + words
                .iter()
                .skip(FIXED)
                .take_while(|word| comes_before(word))
                .count();
        words.insert(at.min(words.len()), &field);
        words.join(" ")
    }

    /// Reads its line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words: Vec<&str> = line.split(' ').collect();
        let at = words
            .iter()
            .skip(FIXED)
            .position(|word| word.starts_with("in="))
            .map(|at| at + FIXED);
        let stored = match at {
            None => Stored::Data,
            Some(at) => stored(words.remove(at).strip_prefix("in=")?)?,
        };
        let record = Record::parse(&words.join(" "), Version::Two)?;
        let entry = Self { record, stored };
        // One spelling: the field has one place, too.
        (entry.is_valid() && entry.line() == line).then_some(entry)
    }
}

/// The number of fields that every line has.
const FIXED: usize = 8;

/// True for the fields that come before `in`.
fn comes_before(word: &str) -> bool {
    ["to=", "at=", "hash="]
        .iter()
        .any(|key| word.starts_with(key))
}

fn stored(value: &str) -> Option<Stored> {
    match value.split_once(':')? {
        ("incoming", name) => IncomingName::parse(name).map(Stored::Incoming),
        ("bundle", name) => BundleName::parse(name).map(Stored::Bundle),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use archive::digest::Hasher;
    use archive::entry::{Attributes, Moment};
    use archive::manifest::{NotedAttributes, RemoteHash};
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn entry(letter: char, path: &str) -> Entry {
        let file = matches!(letter, 'f' | 's');
        let target = match letter {
            'l' => Some(b"../x y".to_vec()),
            'h' => Some(b"data/a".to_vec()),
            _ => None,
        };
        Entry::in_data(Record {
            letter,
            mode: 0o640,
            uid: 100_000,
            gid: 0,
            modified: Moment {
                seconds: -1,
                nanoseconds: 5,
            },
            size: if file { 3 } else { 0 },
            content: file.then(|| Hasher::default().finish()),
            attributes: NotedAttributes::All(Attributes(vec![(
                b"user.a".to_vec(),
                b"in=b".to_vec(),
            )])),
            path: path.as_bytes().to_vec(),
            target,
            at: None,
            hash: file.then(|| RemoteHash {
                kind: "quickxor".into(),
                value: "00".into(),
            }),
        })
    }

    #[test]
    fn the_place_stands_behind_the_hash() {
        let mut one = entry('f', "data/in=x");
        one.stored = Stored::Bundle(BundleName::parse("0123456789abcdef").unwrap());
        let line = one.line();
        assert!(
            line.contains(
                " data/in=x hash=quickxor:00 in=bundle:0123456789abcdef xattr:user.a=in=b"
            ),
            "{line}"
        );
        assert_eq!(Entry::parse(&line), Some(one));
        let plain = entry('l', "data/l");
        assert_eq!(Entry::parse(&plain.line()), Some(plain));
    }

    #[test]
    fn nonsense_is_no_entry() {
        for (letter, path) in [
            ('d', "data"),
            ('f', "data/a"),
            ('s', "data/a"),
            ('l', "data/a"),
            ('h', "data/b"),
            ('p', "data/a"),
        ] {
            assert!(entry(letter, path).is_valid(), "{letter} {path}");
        }
        for (letter, path) in [
            ('f', "data"),
            ('x', "data/a"),
            ('d', "a"),
            ('d', "data/../a"),
            ('d', "data//a"),
            ('d', "/data/a"),
            ('h', "data/a"),
        ] {
            assert!(!entry(letter, path).is_valid(), "{letter} {path}");
        }
        let line = entry('f', "data/a").line();
        for wrong in [
            line.replace(" hash=", " in=incoming:1 hash="),
            line.replace(
                " xattr",
                " in=bundle:0123456789abcdef in=bundle:0123456789abcdef xattr",
            ),
            line.replace(
                " hash=quickxor:00",
                " in=bundle:0123456789abcdef hash=quickxor:00",
            ),
            format!("{line} in=bundle:0123456789abcdef"),
            line.replace(" data/a", " data/a at=5"),
            line.replace(" 3 ", " -3 "),
        ] {
            assert_eq!(Entry::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn deep_paths_are_refused() {
        assert!(is_plain(
            format!("data{}", "/x".repeat(MAX_DEPTH)).as_bytes()
        ));
        assert!(!is_plain(
            format!("data{}", "/x".repeat(MAX_DEPTH + 1)).as_bytes()
        ));
        assert!(!is_plain(format!("data/{}", "x".repeat(256)).as_bytes()));
    }

    proptest! {
        #[test]
        fn entries_have_one_spelling(name in proptest::collection::vec(1_u8..=255, 1..30), kind in 0..3, nth in 1_u32..4) {
            let mut one = entry('f', "data/x");
            one.record.path = [b"data/".to_vec(), name].concat();
            prop_assume!(is_plain(&one.record.path));
            one.stored = match kind {
                0 => Stored::Data,
                1 => Stored::Incoming(IncomingName::of(Hasher::default().finish(), nth)),
                _ => Stored::Bundle(BundleName::of(Hasher::default().finish())),
            };
            let line = one.line();
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(Entry::parse(&line), Some(one));
        }
    }
}
