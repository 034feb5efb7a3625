//! The order of the entries in every list of a mirror: by components, byte by byte.
//!
//! Invariant: a directory comes directly before its content, in manifests, deltas and the walk alike. So two lists are
//! compared in one pass, and a tree is made from the root down.

use std::cmp::Ordering;

/// Compares two paths. A slash is below every other byte.
#[must_use]
pub fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let rank = |byte: &u8| {
        if *byte == b'/' {
            0
        } else {
            u16::from(*byte) + 1
        }
    };
    one.iter().map(rank).cmp(other.iter().map(rank))
}

/// True if `path` lies in `folder`, at any depth, or is `folder`.
#[must_use]
pub fn within(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_directory_comes_directly_before_its_content() {
        let sorted = [
            "data", "data/a", "data/a/b", "data/a/c", "data/a b", "data/a.b", "data/b",
        ];
        let mut paths = sorted;
        paths.reverse();
        paths.sort_by(|one, other| compare(one.as_bytes(), other.as_bytes()));
        assert_eq!(paths, sorted);
        assert!(within(b"data/a", b"data/a") && within(b"data/a/b", b"data/a"));
        assert!(!within(b"data/ab", b"data/a") && !within(b"data", b"data/a"));
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_components(one in "[a./\u{1}]{0,8}", other in "[a./\u{1}]{0,8}") {
            let parts = |path: &str| path.split('/').map(|p| p.as_bytes().to_vec()).collect::<Vec<_>>();
            // Without empty components, which no path has.
            prop_assume!(parts(&one).iter().chain(&parts(&other)).all(|part| !part.is_empty()));
            prop_assert_eq!(compare(one.as_bytes(), other.as_bytes()), parts(&one).cmp(&parts(&other)));
        }
    }
}
