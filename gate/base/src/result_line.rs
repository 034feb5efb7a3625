//! Lines `result: {json}` on standard output: the results of an action that the runner keeps. A versioned contract, see
//! `GRAMMAR.md`; the sentences beside them are for people and may change.
//!
//! Invariant: a line is one JSON object in ASCII that fits into a line of `reply` whole.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use crate::progress::Cause;
use crate::proof::Proof;

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
    /// The service was stopped unusually often today.
    ManyStops,
    /// Files of a mirror without a manifest are known by size and time alone.
    AdoptedByTime,
    /// Old copies stay until an administrator approves.
    PruningPaused,
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
    /// An archive is in its place on the remote.
    Archive {
        /// The service.
        subject: String,
        /// The name of the archive.
        name: String,
        /// Its size.
        bytes: u64,
        /// Regular files in it; each name of a file with several names counts.
        files: u64,
        /// Its SHA-256, in hexadecimal.
        sha256: String,
        /// The comparison of the uploaded files with the packed ones.
        checked: Checked,
    },
    /// A mirror is like its source.
    Mirror {
        /// The service or extra target.
        subject: String,
        /// Files in the mirror.
        files: u64,
        /// Files that were not there before.
        added: u64,
        /// Files with other content than before.
        replaced: u64,
        /// Files that are there no more.
        deleted: u64,
        /// The night that the mirror is complete as of; `null` before the first upload is done.
        complete_as_of: Option<String>,
        /// Bytes of all files of the source.
        bytes: u64,
        /// Bytes that this sync uploaded.
        uploaded_bytes: u64,
        /// Bytes that are still to be uploaded.
        left_bytes: u64,
        /// The share of the first upload that is done; 100 after it.
        percent: u8,
        /// Entries whose names the remote cannot hold, in the bundle beside the mirror.
        bundled: u64,
    },
    /// The action stood still until the remote answered again, or until it gave up.
    Waited {
        /// The remote's name.
        remote: String,
        /// The reason.
        cause: Cause,
        /// Milliseconds.
        ms: u64,
    },
    /// A service is up again.
    Downtime {
        /// The service.
        subject: String,
        /// Milliseconds from the stop until it answered again.
        ms: u64,
    },
    /// A copy was rehearsed, or was rehearsed so lately that it was not read again.
    Proof(Box<Proof>),
}

/// The proof that an upload arrived as it was sent. The size alone is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// The remote told a hash of each file, and it was the right one.
    Hash,
    /// There is no common hash; each file was read back and compared.
    Read,
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

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash => "compared by hash",
            Self::Read => "read back and compared",
        })
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
    use crate::proof::{CopyKind, Started, short};

    /// The runner's tests read the same file.
    const CORPUS: &str = include_str!("../../tests/corpus/results.json");

    #[test]
    fn the_lines_are_those_that_the_runner_understands() {
        let subject = || "n8n".to_owned();
        let archive = |checked| ResultLine::Archive {
            subject: subject(),
            name: "n8n-2026-11-22.tar.gz".into(),
            bytes: 3_145_728,
            files: 321,
            sha256: "ab12".repeat(16),
            checked,
        };
        let lines = [
            archive(Checked::Hash),
            archive(Checked::Read),
            ResultLine::Mirror {
                subject: subject(),
                files: 12,
                added: 3,
                replaced: 2,
                deleted: 1,
                complete_as_of: Some("2026-11-22T03:00:00Z".into()),
                bytes: 1_048_576,
                uploaded_bytes: 4096,
                left_bytes: 0,
                percent: 100,
                bundled: 1,
            },
            ResultLine::Downtime {
                subject: subject(),
                ms: 12_345,
            },
            ResultLine::Waited {
                remote: "onedrive".into(),
                cause: Cause::Throttled,
                ms: 43_000,
            },
            ResultLine::warning(WarningCode::RetentionRaised, "n8n", "more \u{2026} is kept"),
            ResultLine::Proof(Box::new(proof())),
            ResultLine::Proof(Box::new(Proof {
                copy: CopyKind::Mirror,
                name: "2026-11-22T03:00:00Z".into(),
                proven: false,
                finding: Some("other than the manifest says: file".into()),
                findings: 1,
                percent: 13,
                covered: 25,
                started: Started::Impossible,
                reason: Some("only a share of the mirror was read".into()),
                ..proof()
            })),
        ];
        let corpus: Vec<serde_json::Value> = serde_json::from_str(CORPUS).unwrap();
        let expected: Vec<&str> = corpus
            .iter()
            .filter(|entry| entry["printed"] == true)
            .map(|entry| entry["line"].as_str().unwrap())
            .collect();
        assert_eq!(lines.map(|line| line.to_string()), expected[..]);
    }

    fn proof() -> Proof {
        Proof {
            subject: "n8n".into(),
            remote: "onedrive:/OdroidBackup".into(),
            copy: CopyKind::Archive,
            name: "n8n-2026-11-22.tar.gz".into(),
            at: "2026-11-23T04:00:00Z".into(),
            proven: true,
            finding: None,
            findings: 0,
            percent: 100,
            covered: 100,
            files: 321,
            bytes: 1_048_576,
            databases: 2,
            clusters: 1,
            started: Started::Healthy,
            reason: None,
        }
    }

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
        fn a_proof_fits_into_a_line(finding in ".{0,400}", reason in ".{0,400}") {
            let remote = format!("a:/{}", "b".repeat(250));
            let (finding, reason) = (Some(short(&finding)), Some(short(&reason)));
            let subject = "a".repeat(64);
            let name = format!("{subject}-2026-11-22.tar.gz");
            let proof = Proof { subject, name, remote, finding, reason, ..proof() };
            let line = ResultLine::Proof(Box::new(proof.clone())).to_string();
            let json: serde_json::Value = serde_json::from_str(&line["result: ".len()..]).unwrap();
            prop_assert_eq!(serde_json::from_value::<Proof>(json).unwrap(), proof);
        }

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
