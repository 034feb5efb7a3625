//! Users, sessions and API tokens in the database. Only hashes of secrets are kept.

use super::codec::{corrupt, millis, time};
use super::error::StoreError;
use crate::domain::names::{TokenName, UserName};
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction};
use std::str::FromStr;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May look.
    Viewer,
    /// May do everything.
    Admin,
}

impl Role {
    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = crate::domain::field::FieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "admin" => Ok(Self::Admin),
            other => Err(crate::domain::field::FieldError::new(
                "role",
                format!("{other:?} is not a role; use admin or viewer"),
            )),
        }
    }
}

/// A user who can log in.
#[derive(Debug, Clone)]
pub struct Account {
    /// Number.
    pub id: i64,
    /// Name, unique.
    pub name: UserName,
    /// What the user may do.
    pub role: Role,
    /// Argon2id hash in PHC string form.
    pub password_hash: String,
    /// When the user was added.
    pub created_at: DateTime<Utc>,
}

/// Who a valid session or token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name of the user or of the token.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// An API token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// What it is called, unique.
    pub name: TokenName,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// All users by name.
///
/// # Errors
/// Those of the database.
pub fn users(tx: &Transaction<'_>) -> Result<Vec<Account>, StoreError> {
    tx.prepare("SELECT id, name, role, password_hash, created_at FROM users ORDER BY name")?
        .query_and_then([], read_account)?
        .collect()
}

/// Whether nobody can log in yet.
///
/// # Errors
/// Those of the database.
pub fn nobody(tx: &Transaction<'_>) -> Result<bool, StoreError> {
    Ok(
        tx.query_row("SELECT NOT EXISTS (SELECT 1 FROM users)", [], |row| {
            row.get(0)
        })?,
    )
}

/// The user of that name.
///
/// # Errors
/// Those of the database.
pub fn user(tx: &Transaction<'_>, name: &str) -> Result<Option<Account>, StoreError> {
    tx.prepare("SELECT id, name, role, password_hash, created_at FROM users WHERE name = ?1")?
        .query_and_then([name], read_account)?
        .next()
        .transpose()
}

fn read_account(row: &Row<'_>) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.get("id")?,
        name: UserName::new(row.get::<_, String>("name")?).map_err(corrupt("user name"))?,
        role: role(row)?,
        password_hash: row.get("password_hash")?,
        created_at: time(row.get("created_at")?)?,
    })
}

fn role(row: &Row<'_>) -> Result<Role, StoreError> {
    row.get::<_, String>("role")?
        .parse()
        .map_err(corrupt("role"))
}

/// Adds a user; returns the user's number.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken.
pub fn add_user(
    tx: &Transaction<'_>,
    name: &UserName,
    role: Role,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let added = tx.execute(
        "INSERT INTO users (name, role, password_hash, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        (name.as_str(), role.as_str(), password_hash, millis(now)),
    )?;
    if added == 0 {
        return Err(StoreError::Duplicate {
            what: "user",
            name: name.to_string(),
        });
    }
    Ok(tx.last_insert_rowid())
}

/// Replaces a user's password and ends the user's sessions.
///
/// # Errors
/// [`StoreError::NotFound`] where there is no such user.
pub fn set_password(
    tx: &Transaction<'_>,
    name: &UserName,
    password_hash: &str,
) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE users SET password_hash = ?2 WHERE name = ?1",
        (name.as_str(), password_hash),
    )?;
    if changed == 0 {
        return Err(no_user(name));
    }
    tx.execute(
        "DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE name = ?1)",
        [name.as_str()],
    )?;
    Ok(())
}

/// Removes a user and the user's sessions.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::InUse`] for the last admin.
pub fn delete_user(tx: &Transaction<'_>, name: &UserName) -> Result<(), StoreError> {
    let others: i64 = tx.query_row(
        "SELECT count(*) FROM users WHERE role = 'admin' AND name <> ?1",
        [name.as_str()],
        |row| row.get(0),
    )?;
    let found = user(tx, name.as_str())?.ok_or_else(|| no_user(name))?;
    if found.role == Role::Admin && others == 0 {
        return Err(StoreError::InUse(format!(
            "{:?} is the last admin; add another one first",
            name.as_str()
        )));
    }
    tx.execute("DELETE FROM users WHERE name = ?1", [name.as_str()])?;
    Ok(())
}

fn no_user(name: &UserName) -> StoreError {
    StoreError::NotFound {
        what: "user",
        name: name.to_string(),
    }
}

/// Starts a session, and forgets those that expired.
///
/// # Errors
/// Those of the database.
pub fn add_session(
    tx: &Transaction<'_>,
    hash: &[u8],
    user: i64,
    now: DateTime<Utc>,
    expires: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sessions WHERE expires_at <= ?1", [millis(now)])?;
    tx.execute(
        "INSERT INTO sessions (hash, user_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        (hash, user, millis(now), millis(expires)),
    )?;
    Ok(())
}

/// Ends a session.
///
/// # Errors
/// Those of the database.
pub fn end_session(tx: &Transaction<'_>, hash: &[u8]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sessions WHERE hash = ?1", [hash])?;
    Ok(())
}

/// Whom a session speaks for, if it is still valid.
///
/// # Errors
/// Those of the database.
pub fn by_session(
    tx: &Transaction<'_>,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Principal>, StoreError> {
    tx.prepare_cached(
        "SELECT users.name, users.role FROM sessions JOIN users ON users.id = user_id
         WHERE hash = ?1 AND expires_at > ?2",
    )?
    .query_and_then((hash, millis(now)), read_principal)?
    .next()
    .transpose()
}

/// Whom a token speaks for.
///
/// # Errors
/// Those of the database.
pub fn by_token(tx: &Transaction<'_>, hash: &[u8]) -> Result<Option<Principal>, StoreError> {
    tx.prepare_cached("SELECT name, role FROM tokens WHERE hash = ?1")?
        .query_and_then([hash], read_principal)?
        .next()
        .transpose()
}

fn read_principal(row: &Row<'_>) -> Result<Principal, StoreError> {
    Ok(Principal {
        name: row.get("name")?,
        role: role(row)?,
    })
}

/// All tokens by name.
///
/// # Errors
/// Those of the database.
pub fn tokens(tx: &Transaction<'_>) -> Result<Vec<TokenInfo>, StoreError> {
    tx.prepare("SELECT name, role, created_at FROM tokens ORDER BY name")?
        .query_and_then([], |row| {
            Ok(TokenInfo {
                name: TokenName::new(row.get::<_, String>("name")?).map_err(corrupt("token"))?,
                role: role(row)?,
                created_at: time(row.get("created_at")?)?,
            })
        })?
        .collect()
}

/// Adds a token.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken.
pub fn add_token(tx: &Transaction<'_>, token: &TokenInfo, hash: &[u8]) -> Result<(), StoreError> {
    let taken = tx
        .query_row(
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
    tx.execute(
        "INSERT INTO tokens (name, role, hash, created_at) VALUES (?1, ?2, ?3, ?4)",
        (
            token.name.as_str(),
            token.role.as_str(),
            hash,
            millis(token.created_at),
        ),
    )?;
    Ok(())
}

/// Revokes a token.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none of that name.
pub fn delete_token(tx: &Transaction<'_>, name: &TokenName) -> Result<(), StoreError> {
    match tx.execute("DELETE FROM tokens WHERE name = ?1", [name.as_str()])? {
        0 => Err(StoreError::NotFound {
            what: "token",
            name: name.to_string(),
        }),
        _ => Ok(()),
    }
}
