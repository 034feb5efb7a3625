//! rclone's configuration as text: sections with `key = value` lines. Pure.
//!
//! A token is the value of a key called `token`, or whose name ends with `_token`: the only values that rclone
//! rewrites by itself while it works.
//!
//! Invariant: [`Ini::with`] changes the values of tokens and not another byte.

use serde::{Deserialize, Serialize};

/// One token, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The remote.
    pub section: String,
    /// `token`, mostly.
    pub key: String,
    /// For OAuth a JSON object.
    pub value: String,
}

impl Token {
    fn is_for(&self, other: &Self) -> bool {
        self.section == other.section && self.key == other.key
    }

    /// Whether it is one at all: a file that was cut off in the middle of a token has none.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        if !self.value.starts_with('{') {
            return !self.value.is_empty();
        }
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&self.value) else {
            return false;
        };
        fields
            .get("access_token")
            .is_some_and(|token| token.as_str().is_some_and(|text| !text.is_empty()))
    }

    /// Until when it is good, where it says so: later tokens expire later.
    #[must_use]
    pub fn expiry(&self) -> Option<chrono::DateTime<chrono::FixedOffset>> {
        let fields: serde_json::Value = serde_json::from_str(&self.value).ok()?;
        chrono::DateTime::parse_from_rfc3339(fields.get("expiry")?.as_str()?).ok()
    }
}

/// A configuration, taken apart.
#[derive(Debug, Clone)]
pub struct Ini<'a> {
    lines: Vec<&'a str>,
    /// Line, and what is on it.
    entries: Vec<(usize, Token)>,
}

fn is_token(key: &str) -> bool {
    key == "token" || key.ends_with("_token")
}

impl<'a> Ini<'a> {
    /// Takes a text apart. Lines that are neither a section nor `key = value` are nobody's and stay as they are.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut entries: Vec<(usize, Token)> = Vec::new();
        let mut section = None;
        for (at, line) in lines.iter().enumerate() {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = Some(name.trim().to_owned());
                continue;
            }
            let (Some(section), Some((key, value))) = (&section, line.split_once(['=', ':']))
            else {
                continue;
            };
            let entry = Token {
                section: section.clone(),
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            };
            // Of two values for one key rclone takes the last.
            entries.retain(|(_, other)| !other.is_for(&entry));
            entries.push((at, entry));
        }
        Self { lines, entries }
    }

    /// Its tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.entries
            .iter()
            .map(|(_, entry)| entry)
            .filter(|entry| is_token(&entry.key))
    }

    /// Whether both say the same, tokens aside.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let rest = |ini: &Self| -> Vec<Token> {
            let entries = ini.entries.iter().map(|(_, entry)| entry);
            let mut rest: Vec<Token> = entries
                .filter(|entry| !is_token(&entry.key))
                .cloned()
                .collect();
            rest.sort_by(|a, b| (&a.section, &a.key).cmp(&(&b.section, &b.key)));
            rest
        };
        rest(self) == rest(other)
    }

    /// Whether everything that is in `other` is here too, and every token is whole.
    #[must_use]
    pub fn is_complete_beside(&self, other: &Self) -> bool {
        let has = |wanted: &Token| self.entries.iter().any(|(_, entry)| entry.is_for(wanted));
        other.entries.iter().all(|(_, entry)| has(entry)) && self.tokens().all(Token::is_whole)
    }

    /// The text with other tokens. Those that it has no line for are left out.
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
    fn a_token_tells_when_it_expires() {
        let ini = Ini::parse(TEXT);
        let expiry: Vec<bool> = ini.tokens().map(|token| token.expiry().is_some()).collect();
        assert_eq!(expiry, [true, false]);
    }
}
