//! Masks secret values in a stream of bytes that arrives in pieces.
//!
//! Invariant: the output does not depend on the pieces of the stream; only
//! those bytes are held back that could still become a secret.

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::sync::Arc;

/// The replacement of a secret in the log.
const MASK: &[u8] = "••••".as_bytes();

/// Lines of a secret shorter than this are not masked by themselves: they would be
/// ordinary text, for example the braces of a JSON document.
const SHORTEST_LINE: usize = 4;

/// Bytes of a pattern that the automaton looks for; the rest is compared where they are found. It bounds the memory of
/// the automaton, which takes tens of bytes for each byte of a pattern.
const PREFIX: usize = 24;

/// Shortest encoded form that is masked; a shorter one would be ordinary text.
const SHORTEST_FORM: usize = 8;

/// Longest value whose encoded forms are masked, too.
const LONGEST_ENCODED: usize = 64 * 1024;

/// The secrets of a run, prepared for the search. It is built once and shared by all its steps.
#[derive(Debug, Default)]
pub struct Mask {
    matcher: Option<AhoCorasick>,
    /// Sorted, each once.
    patterns: Vec<Vec<u8>>,
    longest: usize,
}

impl Mask {
    /// A mask of these secret values. Of a value with several lines, each line is masked by itself too, since programs
    /// print and rewrap such values line by line. The forms of a value in base64 and in an address are masked as well.
    ///
    /// # Errors
    /// Where the values are too large to be looked for.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let whole = secret.trim();
            patterns.push(whole.into());
            patterns.push(whole.replace("\r\n", "\n").into());
            forms(secret, &mut patterns);
            if whole != secret {
                forms(whole, &mut patterns);
            }
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
        let mut prefixes: Vec<&[u8]> = patterns.iter().map(|p| prefix(p)).collect();
        prefixes.dedup();
        let matcher = if patterns.is_empty() {
            None
        } else {
            // Overlapping matches, because one secret may begin inside another; and the
            // small automaton, because a step must not cost megabytes.
            let builder = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&prefixes)?;
            Some(builder)
        };
        Ok(Self {
            matcher,
            longest: patterns.iter().map(Vec::len).max().unwrap_or(0),
            patterns,
        })
    }

    /// The ends of the secrets that begin at `start` of `text` with `found`.
    fn ends<'a>(
        &'a self,
        text: &'a [u8],
        start: usize,
        found: &'a [u8],
    ) -> impl Iterator<Item = usize> + 'a {
        let rest = &text[start..];
        let first = self.patterns.partition_point(|p| prefix(p) < found);
        self.patterns[first..]
            .iter()
            .take_while(move |p| prefix(p) == found)
            .filter(move |p| rest.starts_with(p))
            .map(move |p| start + p.len())
    }
}

fn prefix(pattern: &[u8]) -> &[u8] {
    &pattern[..pattern.len().min(PREFIX)]
}

/// The forms in which programs print a value: base64 at each of the three places that it may have in a longer text, and
/// as part of an address.
fn forms(value: &str, patterns: &mut Vec<Vec<u8>>) {
    if value.len() > LONGEST_ENCODED {
        return;
    }
    let mut add = |form: String| {
        if form.len() >= SHORTEST_FORM && form != value {
            patterns.push(form.into_bytes());
        }
    };
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value.as_bytes());
        // Characters that depend on the bytes around the value are left out.
        let first = (before * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&bytes);
            add(text.get(first..last).unwrap_or_default().to_owned());
        }
    }
    let escaped = |also: &[u8]| -> String {
        value
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                byte if also.contains(&byte) => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    // RFC 3986, Python's quote() and a form.
    for also in [&b""[..], b"/", b"+"] {
        let text = match also {
            b"+" => escaped(b"").replace("%20", "+"),
            also => escaped(also),
        };
        add(text.to_lowercase());
        add(text);
    }
}

/// Replaces secrets in a stream.
#[derive(Debug, Default)]
pub struct Masker {
    mask: Arc<Mask>,
    held: Vec<u8>,
}

impl Masker {
    /// A masker of a stream.
    pub fn new(mask: Arc<Mask>) -> Self {
        Self {
            mask,
            held: Vec::new(),
        }
    }

    /// Takes the next piece and appends to `out` the bytes that are certain by now.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.mask.matcher.is_none() {
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
        let Some(matcher) = &self.mask.matcher else {
            return Vec::new();
        };
        let mut found: Vec<(usize, usize)> = Vec::new();
        for hit in matcher.find_overlapping_iter(&self.held) {
            let beginning = &self.held[hit.start()..hit.end()];
            let ends = self.mask.ends(&self.held, hit.start(), beginning);
            found.extend(ends.map(|end| (hit.start(), end)));
        }
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
        let from = len.saturating_sub(self.mask.longest.saturating_sub(1));
        (from..len)
            .find(|&at| {
                let rest = &self.held[at..];
                // Sorted, so the patterns that begin with `rest` follow its place.
                let next = self.mask.patterns.partition_point(|p| p.as_slice() <= rest);
                self.mask
                    .patterns
                    .get(next)
                    .is_some_and(|p| p.starts_with(rest))
            })
            .unwrap_or(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let mut masker = Masker::new(Arc::new(Mask::new(secrets.iter().copied()).unwrap()));
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
    fn encoded_forms_are_masked_wherever_they_stand() {
        use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
        let secret = "p4ss/wörd & hunter2?";
        for around in ["", "u:", "user:", "a", "abc"] {
            let text = format!("{around}{secret}{around}");
            for line in [BASE64_STANDARD.encode(&text), BASE64_URL_SAFE.encode(&text)] {
                let out = masked(&[secret], &[line.as_bytes()]);
                assert!(out.contains("••••"), "{line}: {out}");
                let left: usize = out.replace("••••", "").len();
                assert!(left <= line.len() - secret.len(), "{line}: {out}");
            }
        }
        for form in [
            "p4ss%2Fw%C3%B6rd%20%26%20hunter2%3F",
            "p4ss/w%C3%B6rd%20%26%20hunter2%3F",
            "p4ss%2Fw%C3%B6rd+%26+hunter2%3F",
            "p4ss%2fw%c3%b6rd%20%26%20hunter2%3f",
        ] {
            assert_eq!(masked(&[secret], &[form.as_bytes()]), "••••");
        }
    }

    #[test]
    fn long_secrets_with_one_beginning_are_told_apart() {
        let one = format!("{}one", "x".repeat(100));
        let two = format!("{}two!", "x".repeat(100));
        let near = format!("{}thr", "x".repeat(100));
        let secrets = [one.as_str(), two.as_str()];
        assert_eq!(
            masked(&secrets, &[one.as_bytes(), b" ", two.as_bytes()]),
            "•••• ••••"
        );
        assert_eq!(masked(&secrets, &[near.as_bytes()]), near);
    }

    #[test]
    fn nothing_is_held_back_that_cannot_become_a_secret() {
        let mut masker = Masker::new(Arc::new(Mask::new(["hunter2"]).unwrap()));
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
