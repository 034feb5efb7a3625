//! A refused value: its field, the problem and the remedy.

/// One refused value. The text is meant for the person who typed the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// Path of the field as the caller knows it, such as `steps[2].timeout`.
    pub field: String,
    /// The problem and its remedy.
    pub problem: String,
}

impl FieldError {
    /// An error about `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same error seen from one level further out: `timeout` inside `steps[2]`
    /// becomes `steps[2].timeout`.
    #[must_use]
    pub fn inside(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}
