//! Targets at rest: sealed whole, under the name of their channel.

use crate::domain::target::{Target, TargetBody};
use crate::secrets::{SecretError, SecretKey};
use crate::store::StoredChannel;

/// The name under which the target of a channel is sealed; no variable can have it.
fn label(channel: &str) -> String {
    format!("channel {channel}")
}

/// Seals a target as it was typed.
///
/// # Errors
/// Where the system gives no randomness.
pub fn seal(key: &SecretKey, channel: &str, parts: &TargetBody) -> Result<Vec<u8>, SecretError> {
    let text = serde_json::to_string(parts).map_err(|_| SecretError::Random)?;
    key.seal(&label(channel), &text)
}

/// Opens the target of a channel.
///
/// # Errors
/// [`SecretError::Sealed`] where it was sealed with another key.
pub fn open(key: &SecretKey, stored: &StoredChannel) -> Result<Target, SecretError> {
    let parts = parts(key, stored)?;
    Target::try_from(&parts).map_err(|_| sealed(stored))
}

/// Opens a target as it was typed, to change a part.
///
/// # Errors
/// As [`open`].
pub fn parts(key: &SecretKey, stored: &StoredChannel) -> Result<TargetBody, SecretError> {
    let name = stored.channel.name.as_str();
    let text = key.open(&label(name), &stored.sealed)?;
    serde_json::from_str(&text).map_err(|_| sealed(stored))
}

fn sealed(stored: &StoredChannel) -> SecretError {
    SecretError::Sealed(label(stored.channel.name.as_str()))
}
