//! Rows that cannot be read: they are left out and reported, and everything else keeps working.
//!
//! Invariant: only a list leaves a row out; who asks for one thing by its name learns why it cannot be read.

use super::error::StoreError;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Most different reports that are kept.
const MOST: usize = 20;

/// The reports since the start. They belong to the process, as its log does.
static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The rows that can be read; the others are reported, once each.
pub(super) fn readable<T>(
    what: &str,
    rows: impl Iterator<Item = Result<T, StoreError>>,
) -> Result<Vec<T>, StoreError> {
    rows.filter_map(|row| unless_unreadable(what, row).transpose())
        .collect()
}

/// The row, or none where it cannot be read, which is reported once.
pub(super) fn unless_unreadable<T>(
    what: &str,
    row: Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    match row {
        Err(error) if error.is_unreadable() => {
            report(&format!(
                "a {what} is left out, because it cannot be read: {error}"
            ));
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn report(text: &str) {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.len() < MOST && reported.insert(text.to_owned()) {
        tracing::error!("{text}");
    }
}

/// Forgets the reports after a repair; those that are still true come again.
pub fn forget() {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    reported.clear();
}

/// The reports about rows that were left out.
pub fn reports() -> Vec<String> {
    let reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    reported.iter().cloned().collect()
}
