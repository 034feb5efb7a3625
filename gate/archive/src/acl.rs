//! POSIX ACLs: the kernel's binary form ↔ the text that tar archives hold (`SCHILY.acl.access` and `.default`).
//!
//! Invariant: users and groups are numbers on both sides. A name could mean another user on the host of a restore; GNU
//! tar and bsdtar accept numbers in place of unknown names.

use std::fmt::Write as _;

use super::entry::owner;
use base::sort;

/// The attribute that holds the ACL of a file.
pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";

/// The attribute with the ACL that a directory gives to its new entries.
pub(super) const DEFAULT: &[u8] = b"system.posix_acl_default";

/// `POSIX_ACL_XATTR_VERSION`
const VERSION: u32 = 2;

/// `ACL_UNDEFINED_ID`, for an entry without a user or group.
const NOBODY: u32 = u32::MAX;

/// Tags of the kernel, the words for them, and whether they go with a number.
const TAGS: [(u16, &str, bool); 6] = [
    (0x01, "user", false),
    (0x02, "user", true),
    (0x04, "group", false),
    (0x08, "group", true),
    (0x10, "mask", false),
    (0x20, "other", false),
];

/// More entries than any file system keeps.
const MAX_ENTRIES: usize = 8192;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// `user::rw-,user:1000:r--,…`; `None` for data that is no ACL of the known version.
#[must_use]
pub(super) fn to_text(binary: &[u8]) -> Option<String> {
    if u32::from_le_bytes(number(binary, 0)?) != VERSION {
        return None;
    }
    let entries = binary.get(4..)?;
    if entries.is_empty() || !entries.len().is_multiple_of(8) || entries.len() / 8 > MAX_ENTRIES {
        return None;
    }
    let mut text = String::new();
    for entry in entries.chunks_exact(8) {
        let tag = u16::from_le_bytes(number(entry, 0)?);
        let bits = u16::from_le_bytes(number(entry, 2)?);
        let id = u32::from_le_bytes(number(entry, 4)?);
        let (_, word, numbered) = TAGS.iter().find(|known| known.0 == tag)?;
        if bits > 7 || (*numbered && id == NOBODY) {
            return None;
        }
        if !text.is_empty() {
            text.push(',');
        }
        let _ = write!(text, "{word}:");
        if *numbered {
            let _ = write!(text, "{id}");
        }
        text.push(':');
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if bits & bit == 0 { '-' } else { letter });
        }
    }
    Some(text)
}

/// The binary form; `None` for text that is not like ours. Entries may be separated by line feeds, as GNU tar
/// writes them, and may name a number once more in a fourth field, as bsdtar does.
#[must_use]
pub(super) fn to_binary(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut entries = Vec::new();
    for line in text.split([',', '\n']).filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split(':').collect();
        let (word, who, letters, again) = match fields.as_slice() {
            [word, who, letters] => (*word, *who, *letters, None),
            [word, who, letters, again] => (*word, *who, *letters, Some(*again)),
            _ => return None,
        };
        let numbered = !who.is_empty();
        let (tag, ..) = TAGS
            .iter()
            .find(|known| known.1 == word && known.2 == numbered)?;
        let id: u32 = match again {
            _ if !numbered => NOBODY,
            Some(id) => owner(id.parse().ok()?)?,
            None => owner(who.parse().ok()?)?,
        };
        let mut bits = 0_u16;
        for letter in letters.bytes() {
            bits |= match letter {
                b'r' => 4,
                b'w' => 2,
                b'x' => 1,
                b'-' => 0,
                _ => return None,
            };
        }
        entries.push((*tag, id, bits));
    }
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return None;
    }
    // The kernel refuses any other order.
    sort::sort(&mut entries);
    let mut binary = VERSION.to_le_bytes().to_vec();
    for (tag, id, bits) in entries {
        binary.extend(tag.to_le_bytes());
        binary.extend(bits.to_le_bytes());
        binary.extend(id.to_le_bytes());
    }
    Some(binary)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str =
        "user::rw-,user:1:r-x,user:1234:rw-,group::r--,group:77:r--,mask::rwx,other::---";

    #[test]
    fn text_becomes_binary_and_back() {
        let binary = to_binary(TEXT.as_bytes()).unwrap();
        assert_eq!(binary.len(), 4 + 7 * 8);
        assert_eq!(to_text(&binary).as_deref(), Some(TEXT));
    }

    #[test]
    fn the_forms_of_other_programs_are_read() {
        let gnu = TEXT.replace(',', "\n");
        let star = TEXT.replace("user:1:r-x", "user:daemon:r-x:1");
        for form in [gnu, star] {
            assert_eq!(to_binary(form.as_bytes()), to_binary(TEXT.as_bytes()));
        }
    }

    #[test]
    fn nonsense_is_not_an_acl() {
        for text in [
            "",
            "user",
            "user:x:rw-",
            "root::rw-",
            "user::rw?",
            "mask:1:rw-",
            "user:4294967295:rwx",
            "group:-1:rwx",
            "user:daemon:rwx:4294967295",
        ] {
            assert_eq!(to_binary(text.as_bytes()), None, "{text}");
        }
        for binary in [
            &b""[..],
            &[2, 0, 0, 0],
            &[1, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255],
        ] {
            assert_eq!(to_text(binary), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(text) = to_text(&bytes) {
                prop_assert!(to_binary(text.as_bytes()).is_some());
            }
            let _ = to_binary(&bytes);
        }
    }
}
