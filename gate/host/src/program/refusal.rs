//! The word of a second instance that did not become the program.
//!
//! A program may end with any exit code, so no code can mean that it was never started. The second instance prints one
//! line to standard error instead, which begins with a token that the gate made for this start alone: the program
//! itself never sees the token, because execve(2) replaces the arguments that it stood in.
//!
//! Invariant: only a line with the token of this start counts, and only beside [`EXIT_PREPARE`].

use std::io;

use serde::{Deserialize, Serialize};

/// The exit code of a second instance that did not become the program; a program may have it, too.
pub const EXIT_PREPARE: i32 = 125;

/// The reason in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStarted {
    /// The source is no longer the directory that was opened.
    SourceReplaced,
    /// The second instance could not prepare itself, or the system refused to run the program.
    Unprepared,
}

/// The reason, in one word and in a sentence.
pub(super) type Refusal = (NotStarted, String);

/// A refusal for an error of the kernel.
pub(super) fn broken(what: &'static str) -> impl Fn(nix::Error) -> Refusal {
    move |errno| (NotStarted::Unprepared, format!("{what}: {}", errno.desc()))
}

const WORDS: [(NotStarted, &str); 2] = [
    (NotStarted::SourceReplaced, "source-replaced"),
    (NotStarted::Unprepared, "unprepared"),
];

/// A random word, known to the gate and to one second instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// Makes one.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn fresh() -> io::Result<Self> {
        let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        Ok(Self(uuid.trim().to_owned()))
    }

    /// The line that tells the gate.
    pub(super) fn line(&self, reason: NotStarted, words: &str) -> String {
        let word = WORDS
            .iter()
            .find_map(|&(known, word)| (known == reason).then_some(word));
        format!("{} {} {words}", self.0, word.unwrap_or_default())
    }

    /// Reads such a line: the reason, and the sentence for people.
    #[must_use]
    pub fn read<'a>(&self, line: &'a str) -> Option<(NotStarted, &'a str)> {
        let rest = line.strip_prefix(self.0.as_str())?.strip_prefix(' ')?;
        let (first, words) = rest.split_once(' ')?;
        WORDS
            .iter()
            .find_map(|&(reason, word)| (word == first).then_some((reason, words)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_with_the_token_of_this_start_counts() {
        let (token, another) = (Token::fresh().unwrap(), Token::fresh().unwrap());
        for (reason, _) in WORDS {
            let line = token.line(reason, "/a was replaced");
            assert_eq!(token.read(&line), Some((reason, "/a was replaced")));
            assert_eq!(another.read(&line), None);
        }
        for line in ["", " source-replaced x", "source-replaced x"] {
            assert_eq!(token.read(line), None, "{line:?}");
        }
        let unknown = format!("{} another x", token.0);
        assert_eq!(token.read(&unknown), None);
    }
}
