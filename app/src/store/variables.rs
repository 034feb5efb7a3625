//! Variables in the database. A secret value arrives here sealed and leaves sealed.

use super::codec::{corrupt, millis, time};
use super::error::StoreError;
use super::set_aside::readable;
use super::transaction::Tx;
use crate::domain::names::VariableKey;
use chrono::{DateTime, Utc};
use rusqlite::Row;

/// The stored form of a value.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// The value itself.
    Plain(String),
    /// The value sealed with the key that lies outside the database.
    Sealed(Vec<u8>),
}

// A plain value may be private even if it is not marked as secret.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(…)",
            Self::Sealed(_) => "Sealed(…)",
        })
    }
}

/// A variable as it lies in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVariable {
    /// Its name in the environment.
    pub key: VariableKey,
    /// Its value.
    pub content: Content,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

const SELECT: &str = "SELECT key, plain, sealed, updated_at FROM variables";

/// Variables by key.
pub fn list(tx: &Tx<'_>) -> Result<Vec<StoredVariable>, StoreError> {
    let mut statement = tx.0.prepare_cached(&format!("{SELECT} ORDER BY key"))?;
    readable("variable", statement.query_and_then([], read)?)
}

/// One variable.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none of that key.
pub fn get(tx: &Tx<'_>, key: &VariableKey) -> Result<StoredVariable, StoreError> {
    tx.0.prepare_cached(&format!("{SELECT} WHERE key = ?1"))?
        .query_and_then([key.as_str()], read)?
        .next()
        .unwrap_or_else(|| Err(missing(key)))
}

fn read(row: &Row<'_>) -> Result<StoredVariable, StoreError> {
    let content = match (row.get::<_, Option<String>>("plain")?, row.get("sealed")?) {
        (Some(value), None) => Content::Plain(value),
        (None, Some(sealed)) => Content::Sealed(sealed),
        _ => return Err(corrupt("variable")("neither plain nor sealed")),
    };
    Ok(StoredVariable {
        key: VariableKey::new(row.get::<_, String>("key")?).map_err(corrupt("variable"))?,
        content,
        updated_at: time(row.get("updated_at")?)?,
    })
}

/// Sets a variable, new or not.
pub fn set(tx: &Tx<'_>, variable: &StoredVariable) -> Result<(), StoreError> {
    let (plain, sealed) = match &variable.content {
        Content::Plain(value) => (Some(value), None),
        Content::Sealed(bytes) => (None, Some(bytes)),
    };
    tx.0.execute(
        "INSERT INTO variables (key, plain, sealed, updated_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET plain = ?2, sealed = ?3, updated_at = ?4",
        (
            variable.key.as_str(),
            plain,
            sealed,
            millis(variable.updated_at),
        ),
    )?;
    Ok(())
}

/// Removes a variable.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none of that key.
pub fn delete(tx: &Tx<'_>, key: &VariableKey) -> Result<(), StoreError> {
    match tx
        .0
        .execute("DELETE FROM variables WHERE key = ?1", [key.as_str()])?
    {
        0 => Err(missing(key)),
        _ => Ok(()),
    }
}

fn missing(key: &VariableKey) -> StoreError {
    StoreError::NotFound {
        what: "variable",
        name: key.to_string(),
    }
}
