//! One line of `rclone --use-json-log`: a message, a report of progress, or neither.
//!
//! Invariant: any bytes can be read safely, and lines that are not rclone's JSON become plain text. rclone writes file
//! names into these lines, and those names are untrusted.

use serde::Deserialize;

/// A parsed line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A message about an event.
    Message(Message),
    /// A progress report.
    Stats(Stats),
    /// Anything else.
    Text(String),
}

/// The importance of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Messages for rclone's developers.
    Debug,
    /// Messages about single files.
    Info,
    /// Messages for attention.
    Notice,
    /// Messages about work that failed.
    Error,
}

/// A message of rclone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The importance.
    pub level: Level,
    /// The text.
    pub text: String,
    /// The file or directory that the message is about.
    pub object: Option<String>,
    /// The size of that file in bytes.
    pub size: u64,
}

/// True for a message that the remote does not accept the stored sign-in.
pub(crate) fn refuses_sign_in(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["invalid_grant", "invalid_client"]
        .iter()
        .any(|word| message.contains(word))
}

/// The progress. Totals grow until everything is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Stats {
    /// Bytes transferred.
    pub bytes: u64,
    /// Bytes to transfer, as far as known.
    pub total_bytes: u64,
    /// Files that were compared or deleted.
    pub checks: u64,
    /// Files transferred.
    pub transfers: u64,
    /// Files to transfer, as far as known.
    pub total_transfers: u64,
    /// Files deleted.
    pub deletes: u64,
    /// Bytes a second.
    pub speed: f64,
}

#[derive(Deserialize)]
struct Raw {
    level: String,
    msg: String,
    object: Option<String>,
    size: Option<i64>,
    stats: Option<Stats>,
}

impl Line {
    /// Reads a line.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let text = || Self::Text(undated(line.trim()).to_owned());
        if !line.starts_with('{') {
            return text();
        }
        let Ok(raw) = serde_json::from_slice::<Raw>(line.as_bytes()) else {
            return text();
        };
        if let Some(stats) = raw.stats {
            return Self::Stats(stats);
        }
        let level = match raw.level.as_str() {
            "debug" => Level::Debug,
            "info" => Level::Info,
            "error" | "critical" | "alert" | "emergency" | "fatal" | "panic" => Level::Error,
            // 1.60 says "warning"; newer versions say "notice".
            _ => Level::Notice,
        };
        Self::Message(Message {
            level,
            text: raw.msg,
            object: raw.object,
            size: raw
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
        })
    }
}

/// Removes the date and time that rclone puts before its last message.
fn undated(line: &str) -> &str {
    let stamp = |text: &str| {
        text.bytes()
            .zip(*b"0000/00/00 00:00:00 ")
            .all(|(is, like)| {
                if like == b'0' {
                    is.is_ascii_digit()
                } else {
                    is == like
                }
            })
    };
    match line.split_at_checked(20) {
        Some((start, rest)) if stamp(start) => rest,
        _ => line,
    }
}

impl Message {
    /// Formats the message as a line for people.
    #[must_use]
    pub fn show(&self) -> String {
        let level = match self.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Notice => "notice",
            Level::Error => "error",
        };
        let lines = self.text.lines().map(str::trim);
        let text: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let text = text.join("; ");
        match &self.object {
            Some(object) => format!("{level}: {text} ({object})"),
            None => format!("{level}: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stats_are_read() {
        let line = r#"{"level":"warning","msg":"\nTransferred:…","source":"accounting/stats.go:482","stats":{"bytes":26,"checks":8,"deletedDirs":0,"deletes":2,"elapsedTime":0.055,"errors":0,"eta":null,"fatalError":false,"renames":1,"retryError":false,"speed":1.5,"totalBytes":30,"totalChecks":8,"totalTransfers":5,"transferTime":0,"transfers":4},"time":"2026-11-23T08:44:35.617058+00:00"}"#;
        let expected = Stats {
            bytes: 26,
            total_bytes: 30,
            checks: 8,
            transfers: 4,
            total_transfers: 5,
            deletes: 2,
            speed: 1.5,
        };
        assert_eq!(Line::parse(line), Line::Stats(expected));
    }

    #[test]
    fn what_is_not_json_is_text() {
        for line in ["2026/11/23 ERROR : no", "{", "{}", "{\"level\":1}", ""] {
            assert_eq!(Line::parse(line), Line::Text(line.to_owned()));
        }
        let line = "2026/11/23 10:42:46 Failed to sync: no";
        assert_eq!(Line::parse(line), Line::Text("Failed to sync: no".into()));
    }

    #[test]
    fn a_message_of_several_lines_is_shown_on_one() {
        let line = r#"{"level":"error","msg":"first\n\nsecond\n","object":"a\nb"}"#;
        let Line::Message(message) = Line::parse(line) else {
            panic!("not a message");
        };
        // The reply escapes control characters in names.
        assert_eq!(message.show(), "error: first; second (a\nb)");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(line in "\\{?.*") {
            if let Line::Message(message) = Line::parse(&line) {
                let _ = message.show();
            }
        }
    }
}
