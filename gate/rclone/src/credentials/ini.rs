//! Parses rclone's configuration: sections with `key = value` lines. Pure.
//!
//! A token is the value of a key called `token`, or of a key that ends with `_token`. rclone rewrites only these values
//! by itself while it works.
//!
//! This is the only parser of that file in the gate. It reads a text as rclone's own parser (goconfig) does: it splits
//! a line at the first `=` or `:`, accepts quoted keys and values, and takes the last of two values for one key.
//!
//! Invariant: [`Ini::with`] changes only the values of tokens.

use base::sort;
use serde::{Deserialize, Serialize};

/// The longest token. Those of Microsoft have some 4,000 bytes.
pub(super) const LONGEST: usize = 64 << 10;

/// One token and its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The remote.
    pub section: String,
    /// The key, usually `token`.
    pub key: String,
    /// The value: for OAuth a JSON object.
    pub value: String,
}

impl Token {
    pub(super) fn is_for(&self, other: &Self) -> bool {
        self.section == other.section && self.key == other.key
    }

    /// True for a complete token. A file that was cut off in the middle of a token has no complete one, and no server
    /// sends a token of more than `LONGEST` bytes.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        if self.value.len() > LONGEST {
            return false;
        }
        if !self.value.starts_with('{') {
            return !self.value.is_empty();
        }
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(self.value.as_bytes())
        else {
            return false;
        };
        fields
            .get("access_token")
            .is_some_and(|token| token.as_str().is_some_and(|text| !text.is_empty()))
    }

    /// The expiry time, if the token states one: later tokens expire later.
    #[must_use]
    pub fn expiry(&self) -> Option<chrono::DateTime<chrono::FixedOffset>> {
        let fields: serde_json::Value = serde_json::from_slice(self.value.as_bytes()).ok()?;
        chrono::DateTime::parse_from_rfc3339(fields.get("expiry")?.as_str()?).ok()
    }
}

/// A parsed configuration.
#[derive(Debug, Clone)]
pub struct Ini<'a> {
    lines: Vec<&'a str>,
    /// The names of all sections, including sections without a key.
    sections: Vec<String>,
    /// Line number and entry.
    entries: Vec<(usize, Token)>,
}

fn is_token(key: &str) -> bool {
    key == "token" || key.ends_with("_token")
}

/// The section of keys that stand before the first section.
const DEFAULT: &str = "DEFAULT";

/// Splits a line into key and value; `None` if rclone would refuse the file.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let quote = ["\"\"\"", "\"", "`"]
        .into_iter()
        .find(|quote| line.starts_with(quote));
    let (key, rest) = match quote {
        Some(quote) => {
            let (key, rest) = line.get(quote.len()..)?.split_once(quote)?;
            (key, rest.get(rest.find(['=', ':'])? + 1..)?)
        }
        None => line.split_once(['=', ':'])?,
    };
    let (key, value) = (key.trim(), rest.trim());
    (!key.is_empty()).then(|| (key, unquoted(value)))
}

/// The content of a value in back quotes or in three double quotes.
fn unquoted(value: &str) -> &str {
    for quote in ["`", "\"\"\""] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some(end) = inner.rfind(quote)
        {
            return inner.get(..end).unwrap_or(value);
        }
    }
    value
}

impl<'a> Ini<'a> {
    /// Parses a text. Lines that are neither a section nor `key = value` stay unchanged.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut entries: Vec<(usize, Token)> = Vec::new();
        let mut sections: Vec<String> = Vec::new();
        let mut section = DEFAULT.to_owned();
        for (at, line) in lines.iter().enumerate() {
            let line = line.trim_start_matches('\u{feff}').trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                name.trim().clone_into(&mut section);
                if !sections.contains(&section) {
                    sections.push(section.clone());
                }
                continue;
            }
            let Some((key, value)) = key_and_value(line) else {
                continue;
            };
            let entry = Token {
                section: section.clone(),
                key: key.to_owned(),
                value: value.to_owned(),
            };
            // rclone takes the last of two values for one key.
            entries.retain(|(_, other)| !other.is_for(&entry));
            entries.push((at, entry));
        }
        Self {
            lines,
            sections,
            entries,
        }
    }

    /// True if the configuration has a section with this name.
    #[must_use]
    pub fn has_section(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section == name)
    }

    /// The value of a key. A section `a.b` inherits from `a` the values it does not set itself.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let own = self
            .entries
            .iter()
            .find(|(_, entry)| entry.section == section && entry.key == key)
            .map(|(_, entry)| entry.value.as_str());
        own.or_else(|| self.get(section.rsplit_once('.')?.0, key))
    }

    /// The keys of a section, in their order, without its tokens.
    pub fn settings<'s>(&'s self, section: &'s str) -> impl Iterator<Item = (&'s str, &'s str)> {
        self.entries
            .iter()
            .map(|(_, entry)| entry)
            .filter(move |entry| entry.section == section && !is_token(&entry.key))
            .map(|entry| (entry.key.as_str(), entry.value.as_str()))
    }

    /// The first line that rclone cannot read, counted from 1. rclone refuses the whole file because of such a line.
    #[must_use]
    pub fn first_unreadable_line(&self) -> Option<usize> {
        let unreadable = |line: &&str| {
            let line = line.trim_start_matches('\u{feff}').trim();
            let section = line.starts_with('[') && line.ends_with(']');
            !(line.is_empty() || line.starts_with(['#', ';']) || section)
                && key_and_value(line).is_none()
        };
        self.lines.iter().position(unreadable).map(|at| at + 1)
    }

    /// The tokens of the configuration.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.entries
            .iter()
            .map(|(_, entry)| entry)
            .filter(|entry| is_token(&entry.key))
    }

    /// True if both configurations have the same settings, ignoring tokens.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let rest = |ini: &Self| -> Vec<Token> {
            let entries = ini.entries.iter().map(|(_, entry)| entry);
            let mut rest: Vec<Token> = entries
                .filter(|entry| !is_token(&entry.key))
                .cloned()
                .collect();
            sort::sort_by(&mut rest, |a, b| {
                (&a.section, &a.key).cmp(&(&b.section, &b.key))
            });
            rest
        };
        rest(self) == rest(other)
    }

    /// True if this configuration has every entry of `other`, and every token is complete.
    #[must_use]
    pub fn is_complete_beside(&self, other: &Self) -> bool {
        let has = |wanted: &Token| self.entries.iter().any(|(_, entry)| entry.is_for(wanted));
        other.entries.iter().all(|(_, entry)| has(entry)) && self.tokens().all(Token::is_whole)
    }

    /// The text with other tokens. Tokens without a line in this text are left out.
    #[must_use]
    pub fn with(&self, tokens: &[Token]) -> String {
        let mut text = String::new();
        for (at, line) in self.lines.iter().enumerate() {
            let replaced = self
                .entries
                .iter()
                .find(|(line, entry)| *line == at && is_token(&entry.key))
                .and_then(|(_, entry)| tokens.iter().find(|token| token.is_for(entry)));
            match replaced {
                Some(token) => {
                    let end = &line[line.trim_end().len()..];
                    text.push_str(&format!("{} = {}{end}", token.key, token.value));
                }
                None => text.push_str(line),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# mine\n[one]\ntype = onedrive\ntoken = {\"access_token\":\"A\",\"expiry\":\"2026-11-23T09:52:58.302707707Z\"}\r\n\n; not a section [x]\n[two]\nremote: one:folder=x\nbearer_token=B";

    fn token(section: &str, key: &str, value: &str) -> Token {
        Token {
            section: section.into(),
            key: key.into(),
            value: value.into(),
        }
    }

    #[test]
    fn only_the_values_of_tokens_are_replaced() {
        let ini = Ini::parse(TEXT);
        assert_eq!(ini.tokens().count(), 2);
        assert_eq!(ini.with(&[]), TEXT);
        let fresh = [
            token("one", "token", "{\"access_token\":\"C\"}"),
            token("one", "type", "local"),
            token("three", "token", "D"),
        ];
        let other = ini.with(&fresh);
        assert_eq!(
            other,
            TEXT.replace(
                "{\"access_token\":\"A\",\"expiry\":\"2026-11-23T09:52:58.302707707Z\"}",
                "{\"access_token\":\"C\"}"
            )
        );
        assert!(Ini::parse(&other).agrees_with(&ini));
        assert!(!Ini::parse(&TEXT.replace("folder", "other")).agrees_with(&ini));
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_is_not_complete() {
        let whole = Ini::parse(TEXT);
        assert!(whole.is_complete_beside(&whole));
        for length in 0..TEXT.len() - 1 {
            let cut = Ini::parse(&TEXT[..length]);
            assert!(!cut.is_complete_beside(&whole), "{length}");
        }
    }

    #[test]
    fn lines_are_read_as_rclone_reads_them() {
        let text = "first = 0\n[ one ]\ntype: onedrive\n\"a\" = `b c`\n`d`: \"\"\" e \"\"\"\nf = \"g\"\n[empty]\n[one.two]\nx = a:b=c\nx = d\n";
        let ini = Ini::parse(text);
        assert_eq!(ini.first_unreadable_line(), None);
        for (section, key, value) in [
            ("DEFAULT", "first", Some("0")),
            ("one", "type", Some("onedrive")),
            ("one", "a", Some("b c")),
            ("one", "d", Some(" e ")),
            ("one", "f", Some("\"g\"")),
            ("one.two", "type", Some("onedrive")),
            ("one.two", "x", Some("d")),
            ("empty", "type", None),
        ] {
            assert_eq!(ini.get(section, key), value, "{section} {key}");
        }
        assert!(ini.has_section("empty") && !ini.has_section("two"));
        for (text, line) in [
            ("[a]\nnonsense\n", 2),
            ("= b", 1),
            ("\n\"a = b", 2),
            ("[a\n", 1),
        ] {
            assert_eq!(
                Ini::parse(text).first_unreadable_line(),
                Some(line),
                "{text}"
            );
        }
    }

    #[test]
    fn a_token_tells_when_it_expires() {
        let ini = Ini::parse(TEXT);
        let expiry: Vec<bool> = ini.tokens().map(|token| token.expiry().is_some()).collect();
        assert_eq!(expiry, [true, false]);
    }
}
