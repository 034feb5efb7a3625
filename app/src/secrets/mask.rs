//! Masks secret values in a stream of bytes that arrives in pieces.
//!
//! Invariant: the output does not depend on the pieces of the stream; only
//! those bytes are held back that could still become a secret.

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

/// The replacement of a secret in the log.
const MASK: &[u8] = "••••".as_bytes();

/// Lines of a secret shorter than this are not masked by themselves: they would be
/// ordinary text, for example the braces of a JSON document.
const SHORTEST_LINE: usize = 4;

/// Replaces secrets in a stream.
#[derive(Debug, Default)]
pub struct Masker {
    matcher: Option<AhoCorasick>,
    patterns: Vec<Vec<u8>>,
    longest: usize,
    held: Vec<u8>,
}

impl Masker {
    /// A masker of these secret values. Of a value with several lines, each line is
    /// masked by itself too, since programs print and rewrap such values line by line.
    ///
    /// # Errors
    /// Where the values are too large to be looked for.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let whole = secret.trim();
            patterns.push(whole.into());
            patterns.push(whole.replace("\r\n", "\n").into());
            if whole.contains('\n') {
                let lines = whole.lines().map(str::trim);
                patterns.extend(
                    lines
                        .filter(|line| line.len() >= SHORTEST_LINE)
                        .map(|line| line.as_bytes().to_vec()),
                );
            }
        }
        patterns.retain(|p| !p.is_empty());
        patterns.sort();
        patterns.dedup();
        let matcher = if patterns.is_empty() {
            None
        } else {
            // Overlapping matches, because one secret may begin inside another; and the
            // small automaton, because a step must not cost megabytes.
            let builder = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&patterns)?;
            Some(builder)
        };
        Ok(Self {
            matcher,
            longest: patterns.iter().map(Vec::len).max().unwrap_or(0),
            patterns,
            held: Vec::new(),
        })
    }

    /// Takes the next piece and appends to `out` the bytes that are certain by now.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.matcher.is_none() {
            out.extend_from_slice(piece);
            return;
        }
        self.held.extend_from_slice(piece);
        let certain = self.certain();
        self.emit(certain, out);
    }

    /// The stream is over: appends the bytes that were held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let all = self.held.len();
        self.emit(all, out);
    }

    /// Masks the bytes before `certain` and appends them.
    fn emit(&mut self, mut certain: usize, out: &mut Vec<u8>) {
        let mut done = 0;
        for (start, end) in self.ranges() {
            if start >= certain {
                break;
            }
            if end > certain {
                // Another secret may still begin in the rest of this one.
                certain = start;
                break;
            }
            out.extend_from_slice(&self.held[done..start]);
            out.extend_from_slice(MASK);
            done = end;
        }
        out.extend_from_slice(&self.held[done..certain]);
        self.held.drain(..certain);
    }

    /// The held ranges that belong to secrets: in order, those that overlap
    /// joined into one.
    fn ranges(&self) -> Vec<(usize, usize)> {
        let Some(matcher) = &self.matcher else {
            return Vec::new();
        };
        let mut found: Vec<(usize, usize)> = matcher
            .find_overlapping_iter(&self.held)
            .map(|m| (m.start(), m.end()))
            .collect();
        found.sort_unstable();
        let mut joined: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match joined.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        joined
    }

    /// The position before which no match can change any more: the first one from
    /// which the rest is the beginning of a secret.
    fn certain(&self) -> usize {
        let len = self.held.len();
        let from = len.saturating_sub(self.longest.saturating_sub(1));
        (from..len)
            .find(|&at| {
                let rest = &self.held[at..];
                // Sorted, so the patterns that begin with `rest` follow its place.
                let next = self.patterns.partition_point(|p| p.as_slice() <= rest);
                self.patterns.get(next).is_some_and(|p| p.starts_with(rest))
            })
            .unwrap_or(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let mut masker = Masker::new(secrets.iter().copied()).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            masker.push(piece, &mut out);
        }
        masker.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_cut_in_two_is_masked() {
        assert_eq!(
            masked(&["hunter2"], &[b"my hun", b"ter2 is\n"]),
            "my •••• is\n"
        );
        assert_eq!(masked(&["hunter2"], &[b"my hun", b"ger\n"]), "my hunger\n");
        assert_eq!(masked(&["hunter2"], &[b"my hun"]), "my hun");
    }

    #[test]
    fn every_line_of_a_secret_is_masked_by_itself() {
        let pem = "-----BEGIN KEY-----\nAAAABBBB\nCCCCDDDD\n-----END KEY-----\n";
        assert_eq!(
            masked(&[pem], &[b"x CCCCDDDD y AAAABBBB CCCCDDDD"]),
            "x •••• y •••• ••••"
        );
        assert_eq!(masked(&[pem], &[pem.as_bytes()]), "••••\n");
        assert_eq!(
            masked(&[pem], &[pem.replace('\n', "\r\n").as_bytes()])
                .matches('A')
                .count(),
            0
        );
    }

    #[test]
    fn the_longer_of_two_secrets_wins() {
        assert_eq!(
            masked(&["abc", "abcdef"], &[b"abc", b"def abcd"]),
            "•••• ••••d"
        );
    }

    #[test]
    fn where_secrets_overlap_all_of_both_is_masked() {
        let secrets = ["db:hunter", "hunter2-topsecret"];
        assert_eq!(masked(&secrets, &[b"x db:hunter2-topsecret y"]), "x •••• y");
        assert_eq!(
            masked(&secrets, &[b"x db:hunter", b"2-topsecret y"]),
            "x •••• y"
        );
        assert_eq!(masked(&secrets, &[b"x db:hunter2-tops"]), "x ••••2-tops");
    }

    #[test]
    fn nothing_is_held_back_that_cannot_become_a_secret() {
        let mut masker = Masker::new(["hunter2"]).unwrap();
        let mut out = Vec::new();
        masker.push(b"a line without it\nhu", &mut out);
        assert_eq!(out, b"a line without it\n");
    }

    proptest! {
        #[test]
        fn the_pieces_make_no_difference(
            text in "[ab\n]{0,60}",
            secrets in prop::collection::vec("[ab\n]{1,6}", 0..4),
            cuts in prop::collection::vec(0usize..60, 0..8),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.push(0);
            cuts.push(text.len());
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(masked(&secrets, &pieces), masked(&secrets, &[text.as_bytes()]));
        }

        #[test]
        fn no_secret_survives(
            before in "[xy ]{0,10}", after in "[xy ]{0,10}", secret in "[a-c]{3,9}", cut in 0usize..29,
        ) {
            let text = format!("{before}{secret}{after}");
            let (a, b) = text.as_bytes().split_at(cut.min(text.len()));
            prop_assert!(!masked(&[&secret], &[a, b]).contains(&secret));
        }
    }
}
