//! The state of a service's mirror, as the gate reports it in a `result:` line.
//!
//! Invariant: every field is optional. A missing field, or one of another type, is unknown; it never hides the others.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

/// The last night that a mirror holds completely.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Completeness {
    /// Not reported.
    #[default]
    Unknown,
    /// The first upload is not finished.
    Never,
    /// The mirror holds the data of this time.
    AsOf(DateTime<Utc>),
}

/// The state of a mirror after a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorState {
    /// The last complete night.
    pub complete: Completeness,
    /// Files in the mirror.
    pub files: Option<u64>,
    /// Bytes in the mirror.
    pub bytes: Option<u64>,
    /// Files added by this step.
    pub added: Option<u64>,
    /// Files replaced by this step.
    pub replaced: Option<u64>,
    /// Files deleted by this step.
    pub deleted: Option<u64>,
    /// Bytes uploaded by this step.
    pub uploaded_bytes: Option<u64>,
    /// Bytes that the next step has to upload.
    pub left_bytes: Option<u64>,
    /// Share of the upload that is finished, rounded down.
    pub percent: Option<u64>,
}

impl MirrorState {
    /// Reads the fields of a line of the kind `mirror`.
    #[must_use]
    pub fn from_json(object: &Map<String, Value>) -> Self {
        let number = |key: &str| object.get(key).and_then(Value::as_u64);
        let percent = object.get("percent").and_then(Value::as_f64);
        Self {
            complete: match object.get("complete_as_of") {
                None => Completeness::Unknown,
                Some(Value::Null) => Completeness::Never,
                Some(time) => time
                    .as_str()
                    .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
                    .map_or(Completeness::Unknown, |time| {
                        Completeness::AsOf(time.with_timezone(&Utc))
                    }),
            },
            files: number("files"),
            bytes: number("bytes"),
            added: number("added"),
            replaced: number("replaced"),
            deleted: number("deleted"),
            uploaded_bytes: number("uploaded_bytes"),
            left_bytes: number("left_bytes"),
            percent: percent
                .filter(|percent| (0.0..=100.0).contains(percent))
                .and_then(|percent| format!("{:.0}", percent.floor()).parse().ok()),
        }
    }

    /// The same object again.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        match self.complete {
            Completeness::Unknown => {}
            Completeness::Never => drop(object.insert("complete_as_of".to_owned(), Value::Null)),
            Completeness::AsOf(time) => {
                let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                object.insert("complete_as_of".to_owned(), text.into());
            }
        }
        for (key, number) in [
            ("files", self.files),
            ("bytes", self.bytes),
            ("added", self.added),
            ("replaced", self.replaced),
            ("deleted", self.deleted),
            ("uploaded_bytes", self.uploaded_bytes),
            ("left_bytes", self.left_bytes),
            ("percent", self.percent),
        ] {
            if let Some(number) = number {
                object.insert(key.to_owned(), number.into());
            }
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_bad_field_hides_no_other() {
        let read = |fields: Value| MirrorState::from_json(fields.as_object().unwrap());
        let state = read(json!({
            "complete_as_of": "2026-11-29T03:10:00Z", "files": -1, "bytes": "7", "added": 3,
            "percent": 31.9, "later": [1],
        }));
        let time = "2026-11-29T03:10:00Z".parse().unwrap();
        assert_eq!(state.complete, Completeness::AsOf(time));
        assert_eq!(
            (state.files, state.bytes, state.added),
            (None, None, Some(3))
        );
        assert_eq!(state.percent, Some(31));
        assert_eq!(read(state.to_json()), state);
        let never = read(json!({"complete_as_of": null, "percent": 101}));
        assert_eq!((never.complete, never.percent), (Completeness::Never, None));
        for odd in [json!(7), json!("soon")] {
            let state = read(json!({"complete_as_of": odd}));
            assert_eq!(state.complete, Completeness::Unknown);
        }
    }
}
