//! A word that is not the name it should be.

use thiserror::Error;

/// A word that is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{word}' is not {expected}")]
pub struct NameError {
    word: String,
    expected: &'static str,
}

pub(super) fn refuse(word: &str, expected: &'static str) -> NameError {
    NameError {
        word: word.to_owned(),
        expected,
    }
}
