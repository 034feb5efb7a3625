//! Sessions of people in the database: of the secret only its hash, and from where it is used.

use super::Principal;
use super::accounts::role;
use super::codec::{corrupt, millis, time};
use super::error::StoreError;
use super::transaction::Tx;
use crate::domain::audit::{Actor, ActorKind};
use crate::domain::names::UserName;
use chrono::{DateTime, Utc};
use rusqlite::Row;

/// The address and program of a browser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The network address; empty where there is none.
    pub address: String,
    /// The browser's User-Agent, cut to a bounded length.
    pub agent: String,
}

/// A session as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number.
    pub id: i64,
    /// Its owner.
    pub user: UserName,
    /// Time of the login.
    pub created_at: DateTime<Utc>,
    /// Time of expiry.
    pub expires_at: DateTime<Utc>,
    /// Time of the last use, to some minutes.
    pub seen_at: DateTime<Utc>,
    /// From where it was last used.
    pub client: Client,
}

/// A session that was shown and is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// As lists show it.
    pub info: SessionInfo,
    /// The identity behind it.
    pub principal: Principal,
}

const SELECT: &str = "SELECT sessions.id, users.name, users.role, sessions.created_at, expires_at,
    seen_at, address, agent FROM sessions JOIN users ON users.id = user_id";

/// Starts a session, and forgets those that expired; returns its number.
pub fn add(
    tx: &Tx<'_>,
    hash: &[u8],
    user: i64,
    client: &Client,
    now: DateTime<Utc>,
    expires: DateTime<Utc>,
) -> Result<i64, StoreError> {
    tx.0.execute("DELETE FROM sessions WHERE expires_at <= ?1", [millis(now)])?;
    tx.0.execute(
        "INSERT INTO sessions (hash, user_id, created_at, expires_at, seen_at, address, agent)
         VALUES (?1, ?2, ?3, ?4, ?3, ?5, ?6)",
        (
            hash,
            user,
            millis(now),
            millis(expires),
            &client.address,
            &client.agent,
        ),
    )?;
    Ok(tx.0.last_insert_rowid())
}

/// The session of that secret, if it is still valid.
pub fn by_hash(
    tx: &Tx<'_>,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<FoundSession>, StoreError> {
    tx.0.prepare_cached(&format!("{SELECT} WHERE hash = ?1 AND expires_at > ?2"))?
        .query_and_then((hash, millis(now)), |row| {
            let info = read(row)?;
            Ok(FoundSession {
                principal: Principal {
                    actor: Actor {
                        kind: ActorKind::User,
                        name: info.user.to_string(),
                        address: String::new(),
                    },
                    role: role(row)?,
                    tasks: None,
                },
                info,
            })
        })?
        .next()
        .transpose()
}

/// The valid sessions, of one user or of all, the one used last first.
pub fn list(
    tx: &Tx<'_>,
    user: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<SessionInfo>, StoreError> {
    tx.0.prepare_cached(&format!(
        "{SELECT} WHERE expires_at > ?1 AND (?2 IS NULL OR users.name = ?2)
         ORDER BY seen_at DESC, sessions.id DESC"
    ))?
    .query_and_then((millis(now), user), read)?
    .collect()
}

fn read(row: &Row<'_>) -> Result<SessionInfo, StoreError> {
    Ok(SessionInfo {
        id: row.get("id")?,
        user: UserName::new(row.get::<_, String>("name")?).map_err(corrupt("user name"))?,
        created_at: time(row.get("created_at")?)?,
        expires_at: time(row.get("expires_at")?)?,
        seen_at: time(row.get("seen_at")?)?,
        client: Client {
            address: row.get("address")?,
            agent: row.get("agent")?,
        },
    })
}

/// Notes that a session is in use.
pub fn touch(tx: &Tx<'_>, id: i64, client: &Client, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.0.execute(
        "UPDATE sessions SET seen_at = ?2, address = ?3, agent = ?4 WHERE id = ?1",
        (id, millis(now), &client.address, &client.agent),
    )?;
    Ok(())
}

/// Ends a session, of one user or of any; returns it as it was.
///
/// # Errors
/// [`StoreError::NotFound`] where there is no such session, or it belongs to another user.
pub fn end(
    tx: &Tx<'_>,
    id: i64,
    user: Option<&str>,
    now: DateTime<Utc>,
) -> Result<SessionInfo, StoreError> {
    let found = list(tx, user, now)?
        .into_iter()
        .find(|session| session.id == id)
        .ok_or_else(|| StoreError::NotFound {
            what: "session",
            name: id.to_string(),
        })?;
    tx.0.execute("DELETE FROM sessions WHERE id = ?1", [id])?;
    Ok(found)
}
