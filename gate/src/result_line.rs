//! Lines `result: {json}` on standard output: the results of an action that the runner keeps. A versioned contract, see
//! `GRAMMAR.md`; the sentences beside them are for people and may change.
//!
//! Invariant: a line is one JSON object in ASCII that fits into a line of `reply` whole.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

/// The version of the contract. A new kind, code or key does not change it.
const VERSION: u32 = 1;

/// Longest message in bytes of JSON: with all else in the line it is shorter than a line may be.
const LONGEST: usize = 1500;

/// A thing that works, and that an administrator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The request asked for less retention than the host keeps.
    RetentionRaised,
    /// An archive without a manifest of the right size.
    ArchiveUnverified,
    /// An archive with a date after tomorrow.
    ArchiveInTheFuture,
    /// Something is mounted inside the data, and is in no copy.
    MountLeftOut,
    /// The service was up while its data was read.
    ServiceUp,
    /// An archive of the same day was made while the service was down, and stays.
    ArchiveKept,
    /// The data is a mount of another folder.
    ForeignMount,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ResultLine {
    /// A warning.
    Warning {
        /// For programs.
        code: WarningCode,
        /// The service or extra target.
        subject: String,
        /// For people; the same sentence is on standard error.
        message: String,
    },
}

#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    line: &'a ResultLine,
}

impl ResultLine {
    /// A warning about a service or extra target.
    #[must_use]
    pub fn warning(code: WarningCode, subject: &str, message: &str) -> Self {
        let mut message = message.to_owned();
        while ascii(&message).len() > LONGEST {
            let half = (0..=message.len() / 2)
                .rev()
                .find(|&at| message.is_char_boundary(at));
            message.truncate(half.unwrap_or(0));
            message.push_str("...");
        }
        Self::Warning {
            code,
            subject: subject.to_owned(),
            message,
        }
    }
}

/// JSON escapes for all beyond ASCII: `reply` and terminals change nothing then.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() && !byte.is_ascii_control() => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

impl fmt::Display for ResultLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versioned = Versioned {
            version: VERSION,
            line: self,
        };
        let json = serde_json::to_string(&versioned).map_err(|_| fmt::Error)?;
        write!(f, "result: {}", ascii(&json))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_warning_has_the_form_of_the_grammar() {
        let line = ResultLine::warning(WarningCode::RetentionRaised, "n8n", "a \"b\"\n\u{e9}");
        assert_eq!(
            line.to_string(),
            r#"result: {"version":1,"kind":"warning","code":"retention_raised","subject":"n8n","message":"a \"b\"\n\u00e9"}"#
        );
    }

    proptest! {
        #[test]
        fn a_line_is_short_ascii_json(message in ".{0,4000}") {
            let line = ResultLine::warning(WarningCode::ServiceUp, "n8n", &message).to_string();
            prop_assert!(line.is_ascii() && line.len() < 2000);
            prop_assert!(!line.bytes().any(|b| b.is_ascii_control()));
            let json: serde_json::Value = serde_json::from_str(&line["result: ".len()..]).unwrap();
            if message.len() < 200 {
                prop_assert_eq!(json["message"].as_str(), Some(message.as_str()));
            }
        }
    }
}
