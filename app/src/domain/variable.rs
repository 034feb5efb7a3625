//! A variable: a key and a value that every step finds in its environment.

use super::field::FieldError;
use super::names::VariableKey;

/// Longest value accepted, in bytes; a single environment string may not exceed
/// 128 KiB (execve(2), `MAX_ARG_STRLEN`), key and `=` included.
pub const MAX_VALUE_BYTES: usize = 120 * 1024;

/// A variable with its value in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Name in the environment.
    pub key: VariableKey,
    /// Value in the environment; may have several lines.
    pub value: String,
    /// Secret values are write-only in UI and API, sealed at rest and masked in logs.
    pub secret: bool,
}

impl Variable {
    /// Accepts a key and a value.
    ///
    /// # Errors
    /// Refuses a NUL byte, which no environment can hold, a value over
    /// [`MAX_VALUE_BYTES`], and a secret so short that masking it would
    /// blacken every log instead of hiding it.
    pub fn new(key: VariableKey, value: String, secret: bool) -> Result<Self, FieldError> {
        check_value("value", &value)?;
        if secret && value.trim().len() < 3 {
            return Err(FieldError::new(
                "value",
                "is too short for a secret: at least 3 characters, or it could not be told from ordinary text in logs",
            ));
        }
        Ok(Self { key, value, secret })
    }
}

/// Refuses values that no environment can hold.
///
/// # Errors
/// A NUL byte, or more than [`MAX_VALUE_BYTES`].
pub fn check_value(field: &str, value: &str) -> Result<(), FieldError> {
    if value.contains('\0') {
        return Err(FieldError::new(field, "must not hold a NUL byte"));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(FieldError::new(
            field,
            format!(
                "is {} bytes, more than the {MAX_VALUE_BYTES} an environment string may have",
                value.len()
            ),
        ));
    }
    Ok(())
}

// The value may be a secret, so it is never printed by accident.
impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variable")
            .field("key", &self.key)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}
