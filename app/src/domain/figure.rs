//! The figures that a step reports of its own work: lines `result: {json}` in its log, as the gate prints them
//! (its `GRAMMAR.md` has the form).
//!
//! Invariant: only a whole line of a known version and kind counts, so that text which merely looks like it changes
//! nothing. Of figures the last such line counts; different warnings add up, to [`MOST_WARNINGS`] at most.

use super::mirror::MirrorState;
use super::proof::ProofState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the lines that is understood.
const VERSION: u32 = 1;

/// Most warnings kept of one step; its log has all of them.
pub const MOST_WARNINGS: usize = 20;

/// A warning of the gate: the step may succeed, and an administrator should look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The kind of warning, for programs.
    pub code: String,
    /// The service or extra target.
    pub subject: String,
    /// The sentence for people.
    pub message: String,
}

/// The figures of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// For how long its service was down, in milliseconds, as the host measured it: from the
    /// moment before the stop until it answered again.
    pub down_ms: Option<u64>,
    /// Bytes of the archive it stored.
    pub bytes: Option<u64>,
    /// Files that the mirror holds after it.
    pub files: Option<u64>,
    /// The state of the mirror after it.
    pub mirror: Option<MirrorState>,
    /// The result of its rehearsal.
    pub proof: Option<Box<ProofState>>,
    /// The service or extra target that it reported about last. It is not kept with the step.
    pub subject: Option<String>,
    /// Its different warnings, in the order in which they came.
    pub warnings: Vec<Warning>,
}

/// The kinds of lines that have figures.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Reported {
    Archive {
        bytes: u64,
        #[serde(default)]
        subject: Option<String>,
    },
    Mirror(Map<String, Value>),
    Proof(Map<String, Value>),
    Downtime {
        ms: u64,
        #[serde(default)]
        subject: Option<String>,
    },
    Warning(Warning),
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
    #[serde(flatten)]
    reported: Reported,
}

impl Figures {
    /// Takes the figures of a line, if it has any.
    pub fn hear(&mut self, line: &str) {
        let Some(json) = line.strip_prefix("result: ") else {
            return;
        };
        match serde_json::from_str::<Versioned>(json) {
            Ok(line) if line.version == VERSION => match line.reported {
                Reported::Archive { bytes, subject } => {
                    self.bytes = Some(bytes);
                    self.is_about(subject);
                }
                Reported::Proof(fields) => {
                    if let Some(proof) = ProofState::from_json(&fields) {
                        self.is_about(Some(proof.subject.clone()));
                        self.proof = Some(Box::new(proof));
                    }
                }
                Reported::Mirror(fields) => {
                    let subject = fields.get("subject").and_then(Value::as_str);
                    self.is_about(subject.map(str::to_owned));
                    let state = MirrorState::from_json(&fields);
                    self.files = state.files.or(self.files);
                    self.mirror = Some(state);
                }
                Reported::Downtime { ms, subject } => {
                    self.down_ms = Some(ms);
                    self.is_about(subject);
                }
                Reported::Warning(warning) => self.warn(warning),
                Reported::Unknown => {}
            },
            _ => {}
        }
    }

    fn is_about(&mut self, subject: Option<String>) {
        let plain = |name: &String| name.len() <= 64 && !name.contains(char::is_control);
        self.subject = subject.filter(plain).or(self.subject.take());
    }

    fn warn(&mut self, mut warning: Warning) {
        for text in [
            &mut warning.code,
            &mut warning.subject,
            &mut warning.message,
        ] {
            *text = text.replace(char::is_control, "?");
        }
        if self.warnings.len() < MOST_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The gate's tests read the same file.
    const CORPUS: &str = include_str!("../../../gate/tests/corpus/results.json");

    #[test]
    fn the_lines_of_the_gate_are_understood_and_others_are_not() {
        let corpus: Vec<Value> = serde_json::from_str(CORPUS).unwrap();
        assert!(corpus.iter().any(|entry| entry["printed"] == true));
        for entry in corpus {
            let mut figures = Figures::default();
            figures.hear(entry["line"].as_str().unwrap());
            let expected = |key: &str| entry["figures"][key].as_u64();
            let expected = Figures {
                down_ms: expected("down_ms"),
                bytes: expected("bytes"),
                files: expected("files"),
                mirror: entry["figures"]["mirror"]
                    .as_object()
                    .map(MirrorState::from_json),
                proof: entry["figures"]["proof"]
                    .as_object()
                    .and_then(ProofState::from_json)
                    .map(Box::new),
                subject: match entry["figures"].as_object() {
                    Some(figures) if !figures.is_empty() => Some("n8n".to_owned()),
                    _ => None,
                },
                warnings: serde_json::from_value(entry["warning"].clone())
                    .into_iter()
                    .collect(),
            };
            assert_eq!(figures, expected, "{entry}");
        }
    }

    #[test]
    fn the_last_line_counts() {
        let mut figures = Figures::default();
        for ms in ["1000", "2000", "-1"] {
            figures.hear(&format!(
                r#"result: {{"version":1,"kind":"downtime","subject":"n8n","ms":{ms}}}"#
            ));
        }
        assert_eq!(figures.down_ms, Some(2000));
    }

    #[test]
    fn warnings_are_kept_once_and_are_bounded() {
        let mut figures = Figures::default();
        for number in 0..3 * MOST_WARNINGS {
            figures.hear(&format!(
                r#"result: {{"version":1,"kind":"warning","code":"c","subject":"n8n","message":"{}"}}"#,
                number / 2
            ));
        }
        let messages: Vec<&str> = figures.warnings.iter().map(|w| &*w.message).collect();
        let expected: Vec<String> = (0..MOST_WARNINGS).map(|n| n.to_string()).collect();
        assert_eq!(messages, expected);
    }
}
