//! Conversion of domain values to columns and back.

use super::error::StoreError;
use crate::domain::field::FieldError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// Milliseconds since 1970-01-01 UTC.
pub(super) fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// Reads a time back.
pub(super) fn time(millis: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| corrupt("time")(millis))
}

/// Reads an optional time back.
pub(super) fn optional_time(millis: Option<i64>) -> Result<Option<DateTime<Utc>>, StoreError> {
    millis.map(time).transpose()
}

/// Turns the refusal of a stored value into an error of the store.
pub(super) fn corrupt<E: Display>(what: &'static str) -> impl Fn(E) -> StoreError {
    move |why| StoreError::Corrupt {
        what,
        why: why.to_string(),
    }
}

/// A definition as the database keeps it.
pub(super) fn json<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(corrupt(what))
}

/// Reads a definition back.
pub(super) fn from_json<T: DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(corrupt(what))
}

/// Turns the refusals of a stored definition into an error of the store.
pub(super) fn corrupt_fields(what: &'static str) -> impl Fn(Vec<FieldError>) -> StoreError {
    move |errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        corrupt(what)(errors.join("; "))
    }
}
