//! Conversion of domain values to columns and back.

use super::error::StoreError;
use crate::domain::field::FieldError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::HashMap;
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

/// Most definitions that a thread keeps, and the longest one.
const KEPT: usize = 256;
const LONGEST_KEPT: usize = 2048;

/// Definitions in their checked form. Most steps of most runs have one of a few, so a page that shows a hundred steps
/// checks hardly any. A definition is its text, so what is kept never grows old.
pub(super) struct DefinitionCache<T>(RefCell<HashMap<String, T>>);

impl<T: Clone> DefinitionCache<T> {
    pub(super) fn new() -> Self {
        Self(RefCell::default())
    }

    /// The checked form of `text`, made by `check` where it is not kept.
    pub(super) fn get(
        &self,
        text: &str,
        check: impl FnOnce(&str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(kept) = self.0.borrow().get(text) {
            return Ok(kept.clone());
        }
        let checked = check(text)?;
        if text.len() <= LONGEST_KEPT {
            let mut kept = self.0.borrow_mut();
            if kept.len() == KEPT {
                kept.clear();
            }
            kept.insert(text.to_owned(), checked.clone());
        }
        Ok(checked)
    }
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
