//! The proof that a copy can be restored, as the gate reports it after a rehearsal in a `result:` line.
//!
//! Invariant: a proof names a service, a copy and a time. A missing detail is unknown; it never hides the others.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

/// The longest text that is kept, in characters.
const LONGEST: usize = 300;

/// The result of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofState {
    /// The service.
    pub subject: String,
    /// `archive` or `mirror`.
    pub copy: String,
    /// The name of the archive, or the night of the mirror.
    pub name: String,
    /// The time of the rehearsal.
    pub at: DateTime<Utc>,
    /// True if no fault was found.
    pub proven: bool,
    /// The first fault.
    pub finding: Option<String>,
    /// The start test: `healthy`, `unhealthy` or `impossible`.
    pub started: Option<String>,
    /// The reason for no start test.
    pub reason: Option<String>,
    /// The share that was read, in percent.
    pub percent: Option<u64>,
    /// The share that was read together with the rehearsals before.
    pub covered: Option<u64>,
    /// Files with a compared digest.
    pub files: Option<u64>,
    /// Sound databases.
    pub databases: Option<u64>,
    /// Sound data folders of PostgreSQL.
    pub clusters: Option<u64>,
}

impl ProofState {
    /// Reads the fields of a line of the kind `proof`; `None` without service, copy, time and result.
    #[must_use]
    pub fn from_json(object: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| {
            let letters = object.get(key)?.as_str()?.chars().take(LONGEST);
            let plain = |letter: char| if letter.is_control() { '?' } else { letter };
            Some(letters.map(plain).collect::<String>())
        };
        let number = |key: &str| object.get(key).and_then(Value::as_u64);
        let percent = |key: &str| number(key).filter(|percent| *percent <= 100);
        let copy = text("copy")?;
        let at = DateTime::parse_from_rfc3339(&text("at")?).ok()?;
        matches!(copy.as_str(), "archive" | "mirror").then_some(Self {
            subject: text("subject")?,
            copy,
            name: text("name")?,
            at: at.with_timezone(&Utc),
            proven: object.get("proven")?.as_bool()?,
            finding: text("finding"),
            started: text("started"),
            reason: text("reason"),
            percent: percent("percent"),
            covered: percent("covered"),
            files: number("files"),
            databases: number("databases"),
            clusters: number("clusters"),
        })
    }

    /// The same object again.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        for (key, text) in [
            ("subject", Some(&self.subject)),
            ("copy", Some(&self.copy)),
            ("name", Some(&self.name)),
            ("finding", self.finding.as_ref()),
            ("started", self.started.as_ref()),
            ("reason", self.reason.as_ref()),
        ] {
            if let Some(text) = text {
                object.insert(key.to_owned(), text.clone().into());
            }
        }
        let at = self.at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        object.insert("at".to_owned(), at.into());
        object.insert("proven".to_owned(), self.proven.into());
        for (key, number) in [
            ("percent", self.percent),
            ("covered", self.covered),
            ("files", self.files),
            ("databases", self.databases),
            ("clusters", self.clusters),
        ] {
            if let Some(number) = number {
                object.insert(key.to_owned(), number.into());
            }
        }
        Value::Object(object)
    }

    /// The way of the proof in a few words: "digests, 2 databases, started".
    #[must_use]
    pub fn way(&self) -> String {
        let mut words = Vec::new();
        if let Some(percent) = self.percent.filter(|percent| *percent < 100) {
            words.push(format!("{percent} % of it"));
        }
        words.push("digests".to_owned());
        for (count, one, many) in [
            (self.databases, "database", "databases"),
            (self.clusters, "PostgreSQL folder", "PostgreSQL folders"),
        ] {
            match count {
                None | Some(0) => {}
                Some(1) => words.push(format!("1 {one}")),
                Some(count) => words.push(format!("{count} {many}")),
            }
        }
        words.push(match self.started.as_deref() {
            Some("healthy") => "started".to_owned(),
            _ => "not started".to_owned(),
        });
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(fields: &Value) -> Option<ProofState> {
        ProofState::from_json(fields.as_object().unwrap())
    }

    #[test]
    fn a_proof_has_a_service_a_copy_a_time_and_a_result() {
        let good = json!({
            "subject": "n8n", "copy": "mirror", "name": "2026-11-22T03:00:00Z", "at": "2026-11-23T04:00:00Z",
            "proven": true, "percent": 13, "covered": 101, "files": -1, "databases": 2, "clusters": 1,
            "started": "healthy", "finding": null, "later": [1],
        });
        let proof = read(&good).unwrap();
        assert_eq!(
            (proof.percent, proof.covered, proof.files),
            (Some(13), None, None)
        );
        assert_eq!(
            proof.way(),
            "13 % of it, digests, 2 databases, 1 PostgreSQL folder, started"
        );
        assert_eq!(read(&proof.to_json()).as_ref(), Some(&proof));
        for (key, bad) in [
            ("subject", json!(null)),
            ("copy", json!("tape")),
            ("at", json!("soon")),
            ("proven", json!("yes")),
        ] {
            let mut broken = good.clone();
            broken[key] = bad;
            assert_eq!(read(&broken), None, "{key}");
        }
    }
}
