//! The figures that a step reports of its own work: lines `result: {json}` in its log, as the gate prints them
//! (its `GRAMMAR.md` has the form).
//!
//! Invariant: only a whole line of a known version and kind counts, so that text which merely looks like it changes
//! nothing; the last such line wins.

use serde::Deserialize;

/// The version of the lines that is understood.
const VERSION: u32 = 1;

/// The figures of one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// For how long its service was down, in milliseconds, as the host measured it: from the
    /// moment before the stop until it answered again.
    pub down_ms: Option<u64>,
    /// Bytes of the archive it stored.
    pub bytes: Option<u64>,
    /// Files that the mirror holds after it.
    pub files: Option<u64>,
}

/// The kinds of lines that have figures.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Reported {
    Archive {
        bytes: u64,
    },
    Mirror {
        files: u64,
    },
    Downtime {
        ms: u64,
    },
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
                Reported::Archive { bytes } => self.bytes = Some(bytes),
                Reported::Mirror { files } => self.files = Some(files),
                Reported::Downtime { ms } => self.down_ms = Some(ms),
                Reported::Unknown => {}
            },
            _ => {}
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
}
