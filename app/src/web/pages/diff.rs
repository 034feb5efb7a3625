//! The difference between two texts, line by line.

use similar::{ChangeTag, TextDiff};
use std::time::Duration;

/// Lines around a change that are shown for orientation.
const AROUND: usize = 3;
/// After so long the difference may be larger than it needs to be.
const PATIENCE: Duration = Duration::from_millis(300);
/// Most lines shown.
const MOST: usize = 5000;

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Class in the style sheet.
    pub(super) class: &'static str,
    /// `+`, `-` or a space, for those who cannot tell the colours.
    pub(super) sign: char,
    pub(super) text: String,
}

/// The changes from `old` to `new`; empty where nothing changed.
pub(super) fn lines(old: &str, new: &str) -> Vec<Line> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if index > 0 {
            lines.push(Line {
                class: "gap",
                sign: ' ',
                text: "⋯".to_owned(),
            });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (class, sign) = match change.tag() {
                ChangeTag::Delete => ("gone", '-'),
                ChangeTag::Insert => ("new", '+'),
                ChangeTag::Equal => ("same", ' '),
            };
            let text = change.value().trim_end_matches('\n').to_owned();
            lines.push(Line { class, sign, text });
        }
    }
    lines.truncate(MOST);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_shown_with_its_surroundings() {
        let old: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("10\n", "ten\n");
        let shown: Vec<String> = lines(&old, &new)
            .iter()
            .map(|line| format!("{}{}", line.sign, line.text))
            .collect();
        assert_eq!(
            shown,
            [" 7", " 8", " 9", "-10", "+ten", " 11", " 12", " 13"]
        );
        assert!(lines(&old, &old).is_empty());
    }
}
