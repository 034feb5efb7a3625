//! One entry's line in a manifest, in both versions of the format.
//!
//! Version 1 holds a digest of the attributes. Version 2 holds the attributes themselves, and fields that may be absent:
//! a mirror has no offsets, and not every remote has a hash.
//!
//! Invariant: a record has one spelling in each version, and no byte of a name can end a field or a line.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::version::Version;
use crate::acl;
use crate::digest::Digest;
use crate::entry::{Attributes, Entry, Kind, MAX_SIZE, Moment, owner};
use base::sort;

/// The attributes of an entry, as far as a manifest knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotedAttributes {
    /// Version 1: their digest, or none where there are no attributes.
    Digest(Option<Digest>),
    /// Version 2: all of them.
    All(Attributes),
}

impl NotedAttributes {
    fn digest(&self) -> Option<Digest> {
        match self {
            Self::Digest(digest) => *digest,
            Self::All(attributes) => attributes.digest(),
        }
    }
}

/// The hash that the remote keeps of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHash {
    /// rclone's name of the algorithm: `quickxor`, `sha1`.
    pub kind: String,
    /// Lower-case hexadecimal digits.
    pub value: String,
}

impl RemoteHash {
    /// Reads `KIND:VALUE`.
    fn parse(text: &str) -> Option<Self> {
        let (kind, value) = text.split_once(':')?;
        let name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let fits = (1..=32).contains(&kind.len())
            && (1..=256).contains(&value.len())
            && kind.bytes().all(name)
            && value.bytes().all(digit);
        fits.then(|| Self {
            kind: kind.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// Everything that a manifest says about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `d`, `f`, `s` (a file with holes), `l`, `h` (another name of a file), `p`.
    pub letter: char,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last modification.
    pub modified: Moment,
    /// Size of a file, with its holes.
    pub size: u64,
    /// Digest of a file, as it stands in the archive.
    pub content: Option<Digest>,
    /// Extended attributes and ACLs.
    pub attributes: NotedAttributes,
    /// In the archive.
    pub path: Vec<u8>,
    /// Target of a link.
    pub target: Option<Vec<u8>>,
    /// Offset of its headers in the uncompressed archive.
    pub at: Option<u64>,
    /// The remote's own hash of a file.
    pub hash: Option<RemoteHash>,
}

impl Record {
    /// The record of an entry with this digest of its content and this offset of its headers.
    #[must_use]
    pub fn of(entry: &Entry, content: Digest, at: u64) -> Self {
        let (letter, size, target) = match &entry.kind {
            Kind::Directory => ('d', 0, None),
            Kind::File { size } => ('f', *size, None),
            Kind::Sparse { size, .. } => ('s', *size, None),
            Kind::Symlink { target } => ('l', 0, Some(target.clone())),
            Kind::HardLink { target } => ('h', 0, Some(target.clone())),
            Kind::Fifo => ('p', 0, None),
            Kind::Other { .. } => ('?', 0, None),
        };
        Self {
            letter,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            modified: entry.modified,
            size,
            content: matches!(letter, 'f' | 's').then_some(content),
            attributes: NotedAttributes::All(entry.attributes.clone()),
            path: entry.path.clone(),
            target,
            at: Some(at),
            hash: None,
        }
    }

    /// The differences to another record of the same path, in words; `None` where there is none. Offsets are not
    /// compared: one entry more moves all that follow.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<String> {
        let differences: Vec<&str> = [
            ("kind", self.letter != other.letter),
            (
                "content",
                (self.size, self.content) != (other.size, other.content),
            ),
            ("target", self.target != other.target),
            ("owner", (self.uid, self.gid) != (other.uid, other.gid)),
            ("mode", self.mode != other.mode),
            ("time", self.modified != other.modified),
            (
                "attributes",
                self.attributes.digest() != other.attributes.digest(),
            ),
        ]
        .into_iter()
        .filter_map(|(word, different)| different.then_some(word))
        .collect();
        (!differences.is_empty()).then(|| differences.join(", "))
    }

    /// True if both know an offset, and the offsets differ.
    #[must_use]
    pub fn is_moved(&self, other: &Self) -> bool {
        matches!((self.at, other.at), (Some(one), Some(another)) if one != another)
    }

    /// Its path, for messages.
    #[must_use]
    pub fn display(&self) -> std::path::Display<'_> {
        Path::new(OsStr::from_bytes(&self.path)).display()
    }

    /// Bytes of memory that it takes.
    pub(crate) fn cost(&self) -> usize {
        let attributes = match &self.attributes {
            NotedAttributes::Digest(_) => 0,
            NotedAttributes::All(Attributes(all)) => all
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum(),
        };
        size_of::<Self>() + self.path.len() + self.target.as_ref().map_or(0, Vec::len) + attributes
    }

    /// Reads a line, without the line feed; `None` if it is none of this version.
    #[must_use]
    pub fn parse(line: &str, version: Version) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [letter, mode, uid, gid, modified, size, content, rest @ ..] = fields.as_slice() else {
            return None;
        };
        let mut record = Self {
            letter: letter.chars().next()?,
            mode: u32::from_str_radix(mode, 8)
                .ok()
                .filter(|&mode| mode <= 0o7777)?,
            uid: owner(uid.parse().ok()?)?,
            gid: owner(gid.parse().ok()?)?,
            modified: Moment::parse(modified.as_bytes())?,
            size: size.parse().ok().filter(|&size| size <= MAX_SIZE)?,
            content: digest(content)?,
            attributes: NotedAttributes::All(Attributes::default()),
            path: Vec::new(),
            target: None,
            at: None,
            hash: None,
        };
        match version {
            Version::One => record.rest_of_one(rest)?,
            Version::Two => record.rest_of_two(rest)?,
        }
        // One spelling: no other numbers, no other escapes, no other order.
        (record.line(version) == line).then_some(record)
    }

    fn rest_of_one(&mut self, rest: &[&str]) -> Option<()> {
        let [attributes, path, rest @ ..] = rest else {
            return None;
        };
        self.attributes = NotedAttributes::Digest(digest(attributes)?);
        self.path = unescape(path)?;
        self.target = match rest {
            [] => None,
            [target] => Some(unescape(target)?),
            _ => return None,
        };
        Some(())
    }

    fn rest_of_two(&mut self, rest: &[&str]) -> Option<()> {
        let [path, fields @ ..] = rest else {
            return None;
        };
        self.path = unescape(path)?;
        let mut attributes = Vec::new();
        for field in fields {
            let (key, value) = field.split_once('=')?;
            match key {
                "to" => self.target = Some(unescape(value)?),
                "at" => self.at = Some(value.parse().ok()?),
                "hash" => self.hash = Some(RemoteHash::parse(value)?),
                "acl" => attributes.push((acl::ACCESS.to_vec(), acl::to_binary(value.as_bytes())?)),
                "default" => {
                    attributes.push((acl::DEFAULT.to_vec(), acl::to_binary(value.as_bytes())?));
                }
                _ => {
                    let name = key.strip_prefix("xattr:")?;
                    attributes.push((unescape(name)?, unescape(value)?));
                }
            }
        }
        sort::sort(&mut attributes);
        self.attributes = NotedAttributes::All(Attributes(attributes));
        Some(())
    }

    /// Its line, without the line feed.
    #[must_use]
    pub fn line(&self, version: Version) -> String {
        let text = |digest: Option<Digest>| digest.map_or("-".to_owned(), |d| d.to_string());
        let mut line = format!(
            "{} {:04o} {} {} {} {} {}",
            self.letter,
            self.mode,
            self.uid,
            self.gid,
            self.modified,
            self.size,
            text(self.content),
        );
        let mut add = |field: &str| {
            line.push(' ');
            line.push_str(field);
        };
        match version {
            Version::One => {
                add(&text(self.attributes.digest()));
                add(&escape(&self.path));
                if let Some(target) = &self.target {
                    add(&escape(target));
                }
            }
            Version::Two => {
                add(&escape(&self.path));
                if let Some(target) = &self.target {
                    add(&format!("to={}", escape(target)));
                }
                if let Some(at) = self.at {
                    add(&format!("at={at}"));
                }
                if let Some(RemoteHash { kind, value }) = &self.hash {
                    add(&format!("hash={kind}:{value}"));
                }
                if let NotedAttributes::All(Attributes(all)) = &self.attributes {
                    all.iter()
                        .for_each(|(name, value)| add(&attribute(name, value)));
                }
            }
        }
        line
    }
}

/// The field of one attribute. An ACL is text where it has one, so that people can read it.
fn attribute(name: &[u8], value: &[u8]) -> String {
    let word = match name {
        acl::ACCESS => Some("acl"),
        acl::DEFAULT => Some("default"),
        _ => None,
    };
    match (word, acl::to_text(value)) {
        (Some(word), Some(text)) => format!("{word}={text}"),
        _ => format!(
            "xattr:{}={}",
            escape(name).replace('=', "\\x3d"),
            escape(value)
        ),
    }
}

fn digest(text: &str) -> Option<Option<Digest>> {
    match text {
        "-" => Some(None),
        text => Digest::parse(text.as_bytes()).map(Some),
    }
}

/// Printable ASCII stands for itself, but for the space and the backslash; all else is `\xHH`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Reads the form that [`escape`] writes, and other spellings of it.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        if first == b'\\' {
            let digits = std::str::from_utf8(more.get(1..3)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = more.get(3..)?;
        } else {
            bytes.push(first);
        }
    }
    Some(bytes)
}
