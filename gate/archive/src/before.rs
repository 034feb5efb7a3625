//! The headers before an entry, PAX and GNU's, and their effect on the entry.
//!
//! Invariant: a key that is not known changes nothing; one that is known and makes no sense is damage.

use super::entry::{Kind, Moment};
use super::sparse::OldMap;
use super::{acl, damaged, other_layout, pax};
use base::error::Failure;

/// The content of the headers before an entry.
#[derive(Default)]
pub(super) struct Before {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<Moment>,
    pub(super) real_size: Option<u64>,
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) sparse_version: (Option<Vec<u8>>, Option<Vec<u8>>),
    /// Of the forms 0.0 and 0.1.
    pub(super) sparse_size: Option<u64>,
    pub(super) sparse_pairs: Vec<(u64, u64)>,
    /// Of type `S`.
    pub(super) old_map: Option<OldMap>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// `OFFSET,LENGTH,OFFSET,LENGTH…`
fn pairs(text: &[u8]) -> Result<Vec<(u64, u64)>, Failure> {
    let broken = || damaged("the map of a sparse file is not one");
    let text = std::str::from_utf8(text).map_err(|_| broken())?;
    let numbers: Option<Vec<u64>> = text.split(',').map(|number| number.parse().ok()).collect();
    let numbers = numbers.ok_or_else(broken)?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(broken());
    }
    Ok(pairs
        .iter()
        .map(|&[offset, length]| (offset, length))
        .collect())
}

pub(super) fn kind(
    letter: u8,
    stored: u64,
    path: &[u8],
    link: Vec<u8>,
    before: &Before,
) -> Result<Kind, Failure> {
    let (major, minor) = &before.sparse_version;
    Ok(match letter {
        0 | b'0' if major.is_some() || before.real_size.is_some() => {
            if major.as_deref() != Some(b"1") || minor.as_deref() != Some(b"0") {
                return Err(damaged("a sparse file is not in the form GNU.sparse 1.0"));
            }
            let size = before
                .real_size
                .ok_or_else(|| damaged("a sparse file has no size"))?;
            Kind::Sparse { size, stored }
        }
        // As old as tar itself: a directory is a file with a name that ends with a slash.
        0 | b'0' if path.ends_with(b"/") => Kind::Directory,
        // A file in one stretch, which is a file to everybody.
        0 | b'0' | b'7' => Kind::File { size: stored },
        b'1' => Kind::HardLink { target: link },
        b'2' => Kind::Symlink { target: link },
        b'3' | b'4' => Kind::Other { letter, stored },
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        letter => {
            return Err(other_layout(&format!(
                "{} is of the type '{}', which this version does not read",
                String::from_utf8_lossy(path),
                char::from(letter).escape_default()
            )));
        }
    })
}

impl Before {
    /// Adds the records of a PAX header.
    pub(super) fn pax(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for (key, value) in pax::records(bytes)? {
            let number = || {
                let text = std::str::from_utf8(value).ok();
                let plain = text.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                plain
                    .and_then(|text| text.parse::<u64>().ok())
                    .ok_or_else(|| damaged("a number in a PAX header is not one"))
            };
            let list = || acl::to_binary(value).ok_or_else(|| damaged("an ACL is not one"));
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number()?),
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                b"mtime" => {
                    let moment = Moment::parse(value);
                    self.modified = Some(moment.ok_or_else(|| damaged("a time is not one"))?);
                }
                b"GNU.sparse.major" => self.sparse_version.0 = Some(value.to_vec()),
                b"GNU.sparse.minor" => self.sparse_version.1 = Some(value.to_vec()),
                b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
                b"GNU.sparse.realsize" => self.real_size = Some(number()?),
                b"GNU.sparse.size" => self.sparse_size = Some(number()?),
                b"GNU.sparse.offset" => self.sparse_pairs.push((number()?, 0)),
                b"GNU.sparse.numbytes" => {
                    let last = self.sparse_pairs.last_mut();
                    let last =
                        last.ok_or_else(|| damaged("the map of a sparse file is not one"))?;
                    last.1 = number()?;
                }
                b"GNU.sparse.map" => self.sparse_pairs = pairs(value)?,
                b"SCHILY.acl.access" => self.attributes.push((acl::ACCESS.to_vec(), list()?)),
                b"SCHILY.acl.default" => self.attributes.push((acl::DEFAULT.to_vec(), list()?)),
                _ => {
                    // An ACL is said in its own way, and not once more.
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                        && !name.starts_with(b"system.")
                    {
                        self.attributes.push((pax::unescape(name), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }
}
