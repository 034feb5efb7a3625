//! API tokens in the database: the hash of the secret, the permission, and the last use.

use super::accounts::role;
use super::codec::{corrupt, millis, optional_time, time};
use super::error::StoreError;
use super::transaction::Tx;
use super::{Principal, Role, Scope, tasks};
use crate::domain::audit::{Actor, ActorKind};
use crate::domain::names::{TaskName, TokenName};
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row};
use std::collections::BTreeSet;

/// An API token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its name, unique.
    pub name: TokenName,
    /// Its permission.
    pub role: Role,
    /// The tasks for which it holds.
    pub scope: Scope,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of expiry; never if absent.
    pub expires_at: Option<DateTime<Utc>>,
    /// Time of the last use, to some minutes.
    pub used_at: Option<DateTime<Utc>>,
    /// From where it was last used.
    pub used_from: String,
}

/// A token that was shown and is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundToken {
    /// Its number.
    pub id: i64,
    /// As lists show it.
    pub info: TokenInfo,
    /// The numbers of its tasks; none for everything.
    pub tasks: Option<BTreeSet<TaskId>>,
}

impl FoundToken {
    /// The identity behind it.
    pub fn principal(&self) -> Principal {
        Principal {
            actor: Actor {
                kind: ActorKind::Token,
                name: self.info.name.to_string(),
                address: String::new(),
            },
            role: self.info.role,
            tasks: self.tasks.clone(),
        }
    }
}

const SELECT: &str =
    "SELECT id, name, role, limited, created_at, expires_at, used_at, used_from FROM tokens";

/// Tokens by name.
pub fn list(tx: &Tx<'_>) -> Result<Vec<TokenInfo>, StoreError> {
    tx.0.prepare_cached(&format!("{SELECT} ORDER BY name"))?
        .query_and_then([], |row| read(tx, row).map(|found| found.info))?
        .collect()
}

/// The token of that secret, if it is still valid.
pub fn by_hash(
    tx: &Tx<'_>,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<FoundToken>, StoreError> {
    tx.0.prepare_cached(&format!(
        "{SELECT} WHERE hash = ?1 AND (expires_at IS NULL OR expires_at > ?2)"
    ))?
    .query_and_then((hash, millis(now)), |row| read(tx, row))?
    .next()
    .transpose()
}

fn read(tx: &Tx<'_>, row: &Row<'_>) -> Result<FoundToken, StoreError> {
    let id = row.get("id")?;
    let mut numbers = None;
    let scope = if row.get("limited")? {
        let tasks: Vec<(TaskId, TaskName)> =
            tx.0.prepare_cached(
                "SELECT tasks.id, tasks.name FROM token_tasks JOIN tasks ON tasks.id = task_id
                 WHERE token_id = ?1 ORDER BY tasks.name",
            )?
            .query_and_then([id], |row| {
                let name = TaskName::new(row.get::<_, String>(1)?).map_err(corrupt("task name"))?;
                Ok((TaskId(row.get(0)?), name))
            })?
            .collect::<Result<_, StoreError>>()?;
        numbers = Some(tasks.iter().map(|(id, _)| *id).collect());
        Scope::Tasks(tasks.into_iter().map(|(_, name)| name).collect())
    } else {
        Scope::Everything
    };
    Ok(FoundToken {
        id,
        tasks: numbers,
        info: TokenInfo {
            name: TokenName::new(row.get::<_, String>("name")?).map_err(corrupt("token"))?,
            role: role(row)?,
            scope,
            created_at: time(row.get("created_at")?)?,
            expires_at: optional_time(row.get("expires_at")?)?,
            used_at: optional_time(row.get("used_at")?)?,
            used_from: row.get("used_from")?,
        },
    })
}

/// Adds a token.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken, [`StoreError::NotFound`] where it is
/// for a task that does not exist.
pub fn add(tx: &Tx<'_>, token: &TokenInfo, hash: &[u8]) -> Result<(), StoreError> {
    let taken =
        tx.0.query_row(
            "SELECT 1 FROM tokens WHERE name = ?1",
            [token.name.as_str()],
            |_| Ok(()),
        )
        .optional()?;
    if taken.is_some() {
        return Err(StoreError::Duplicate {
            what: "token",
            name: token.name.to_string(),
        });
    }
    tx.0.execute(
        "INSERT INTO tokens (name, role, hash, created_at, expires_at, limited)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            token.name.as_str(),
            token.role.as_str(),
            hash,
            millis(token.created_at),
            token.expires_at.map(millis),
            matches!(token.scope, Scope::Tasks(_)),
        ),
    )?;
    let id = tx.0.last_insert_rowid();
    if let Scope::Tasks(names) = &token.scope {
        for name in names {
            let task = tasks::by_name(tx, name.as_str())?.id;
            tx.0.execute(
                "INSERT OR IGNORE INTO token_tasks (token_id, task_id) VALUES (?1, ?2)",
                (id, task.0),
            )?;
        }
    }
    Ok(())
}

/// Notes that a token is in use.
pub fn touch(tx: &Tx<'_>, id: i64, address: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.0.execute(
        "UPDATE tokens SET used_at = ?2, used_from = ?3 WHERE id = ?1",
        (id, millis(now), address),
    )?;
    Ok(())
}

/// Revokes a token; returns it as it was.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none of that name.
pub fn delete(tx: &Tx<'_>, name: &TokenName) -> Result<TokenInfo, StoreError> {
    let found = list(tx)?
        .into_iter()
        .find(|token| token.name == *name)
        .ok_or_else(|| StoreError::NotFound {
            what: "token",
            name: name.to_string(),
        })?;
    tx.0.execute("DELETE FROM tokens WHERE name = ?1", [name.as_str()])?;
    Ok(found)
}
