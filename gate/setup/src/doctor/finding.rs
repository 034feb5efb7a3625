//! One line of the doctor: the checked item, its state, and the fix.
//!
//! Invariant: every finding that is not fine has a command that fixes it, or a sentence that says who can.

use serde_json::{Value, json};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The item is fine.
    Ok,
    /// The item works, and could be better.
    Warn,
    /// The item does not work, or is open to unauthorised users.
    Fail,
    /// The check does not apply here, or was not possible.
    Skip,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        }
    }
}

/// A checked item with its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The verdict.
    pub(super) verdict: Verdict,
    /// One sentence about the item.
    pub(super) what: String,
    /// Commands that fix the item, one per line.
    pub(super) fix: Vec<String>,
}

impl Finding {
    fn new(verdict: Verdict, what: impl Into<String>, fix: Vec<String>) -> Self {
        Self {
            verdict,
            what: what.into(),
            fix,
        }
    }

    /// A finding that is fine.
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, what, Vec::new())
    }

    /// A finding that works, and could be better.
    pub(super) fn warn(what: impl Into<String>, fix: Vec<String>) -> Self {
        Self::new(Verdict::Warn, what, fix)
    }

    /// A finding that does not work, or is open to unauthorised users.
    pub(super) fn fail(what: impl Into<String>, fix: Vec<String>) -> Self {
        Self::new(Verdict::Fail, what, fix)
    }

    /// A finding for a skipped check, with the reason.
    pub(super) fn skip(what: impl Into<String>) -> Self {
        Self::new(Verdict::Skip, what, Vec::new())
    }

    /// Lines for a terminal of 80 columns. Commands are not broken, so that they can be copied.
    pub(super) fn text(&self, hop: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (at, words) in wrapped(&self.what, WIDTH - MARGIN).iter().enumerate() {
            lines.push(if at == 0 {
                format!("{:<6}{hop:<10}{words}", self.verdict.word())
            } else {
                format!("{:MARGIN$}{words}", "")
            });
        }
        for (at, command) in self.fix.iter().enumerate() {
            let label = if at == 0 { "fix:" } else { "" };
            lines.push(format!("{:MARGIN$}{label:<5}{command}", ""));
        }
        lines
    }

    /// The finding as JSON, for scripts.
    pub(super) fn json(&self, hop: &str) -> Value {
        json!({
            "hop": hop,
            "verdict": self.verdict.word(),
            "what": self.what,
            "fix": self.fix,
        })
    }
}

/// Columns of a terminal.
const WIDTH: usize = 80;

/// The column in which the sentence begins.
const MARGIN: usize = 16;

/// Breaks a text at spaces; a word longer than the width stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_wrapped_and_commands_are_not() {
        let sentence =
            "a sentence that is long enough to need a second line on a terminal of eighty columns";
        let command = "c".repeat(100);
        let lines = Finding::fail(sentence, vec![command.clone(), "two".into()]).text("keys");
        assert!(lines[0].starts_with("FAIL  keys      a sentence that"));
        assert!(lines[1].starts_with(&" ".repeat(16)));
        assert!(lines[..2].iter().all(|line| line.len() <= 80));
        assert_eq!(lines[2], format!("{:16}fix: {command}", ""));
        assert_eq!(lines[3], format!("{:21}two", ""));
    }
}
