//! PAX records: `LENGTH KEY=VALUE\n`, for values that do not fit into the header that follows.
//!
//! Invariant: [`records`] reads the output of [`Records`], and of GNU tar, bsdtar and Python.

use super::damaged;
use base::error::Failure;

/// Limit of every reader: attributes are packed up to a quarter of this.
pub(super) const MAX_BYTES: u64 = 2 << 20;

/// Records in the making.
#[derive(Debug, Default)]
pub(super) struct Records(Vec<u8>);

impl Records {
    /// Adds one. The length counts itself.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend(length.to_string().bytes());
        self.0.push(b' ');
        self.0.extend(key);
        self.0.push(b'=');
        self.0.extend(value);
        self.0.push(b'\n');
    }

    /// The added records.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Key and value.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// Those of each record.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<Pair<'_>>, Failure> {
    let broken = || damaged("a PAX header is not a list of records");
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let space = rest.iter().position(|&b| b == b' ').ok_or_else(broken)?;
        let digits = rest.get(..space).unwrap_or_default();
        if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(broken());
        }
        let length = digits
            .iter()
            .fold(0_usize, |n, b| n * 10 + usize::from(b - b'0'));
        let record = rest.get(space + 1..length).ok_or_else(broken)?;
        let record = record.strip_suffix(b"\n").ok_or_else(broken)?;
        let equals = record.iter().position(|&b| b == b'=').ok_or_else(broken)?;
        let (key, value) = record.split_at(equals);
        found.push((key, value.get(1..).unwrap_or_default()));
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(found)
}

/// The name of an attribute as part of a key, where `=` would end it. GNU tar does the same; bsdtar takes the escaped
/// name for the name itself.
pub(super) fn escape(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'%' => escaped.extend(b"%25"),
            b'=' => escaped.extend(b"%3D"),
            _ => escaped.push(byte),
        }
    }
    escaped
}

/// Undoes [`escape`].
pub(super) fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, more)) = rest.split_first() {
        let (byte, taken) = match (first, more.get(..2)) {
            (b'%', Some(b"25")) => (b'%', 2),
            (b'%', Some(b"3D")) => (b'=', 2),
            _ => (first, 0),
        };
        plain.push(byte);
        rest = more.get(taken..).unwrap_or_default();
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_length_counts_itself() {
        let mut written = Records::default();
        written.add(b"path", b"x");
        // 99 bytes without a third digit, and 101 with it.
        written.add(b"k", &[b'v'; 93]);
        written.add(b"k", &[b'v'; 94]);
        let bytes = written.bytes();
        assert!(bytes.starts_with(b"9 path=x\n"));
        assert!(bytes[9..].starts_with(b"99 k="));
        assert!(bytes[108..].starts_with(b"101 k="));
        assert_eq!(records(bytes).unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for wrong in [
            &b"x"[..],
            b"5 a=b",
            b"6 ab",
            b"99 a=b\n",
            b"-6 a=b\n",
            b"5 ab\n",
            b"0 a=b\n",
            b"1 a=b\n",
            b"99999999999999999999 a=b\n",
        ] {
            assert!(
                records(wrong).is_err(),
                "{}",
                String::from_utf8_lossy(wrong)
            );
        }
    }

    proptest! {
        #[test]
        fn records_are_read_as_they_were_written(pairs in proptest::collection::vec(("[a-zA-Z.%]{1,20}", proptest::collection::vec(any::<u8>(), 0..200)), 0..5)) {
            let mut written = Records::default();
            for (key, value) in &pairs {
                written.add(key.as_bytes(), value);
            }
            let read = records(written.bytes()).unwrap();
            let expected: Vec<(&[u8], &[u8])> = pairs.iter().map(|(k, v)| (k.as_bytes(), v.as_slice())).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = records(&bytes);
        }

        #[test]
        fn names_of_attributes_survive(name in proptest::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(unescape(&escape(&name)), name);
        }
    }
}
