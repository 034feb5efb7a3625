//! Users in the database, their permissions, and the rule that an admin always remains.

use super::codec::{corrupt, millis, time};
use super::error::StoreError;
use super::transaction::Tx;
use crate::domain::audit::Actor;
use crate::domain::field::FieldError;
use crate::domain::names::{TaskName, UserName};
use crate::domain::task::TaskId;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use std::collections::BTreeSet;
use std::str::FromStr;

/// A permission. Users are viewers or admins; API tokens may be operators too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May look.
    Viewer,
    /// May look, start runs and cancel them.
    Operator,
    /// May do everything.
    Admin,
}

impl Role {
    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads the role of a user.
    ///
    /// # Errors
    /// Says which roles users have.
    pub fn of_user(text: &str) -> Result<Self, FieldError> {
        match text.parse()? {
            Self::Operator => Err(FieldError::new(
                "role",
                "operator is a role of API tokens; a user is admin or viewer",
            )),
            role => Ok(role),
        }
    }
}

impl FromStr for Role {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            other => Err(FieldError::new(
                "role",
                format!("{other:?} is not a role; use viewer, operator or admin"),
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
    /// The user's permission.
    pub role: Role,
    /// Argon2id hash in PHC string form.
    pub password_hash: String,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

/// The tasks for which a permission holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// On everything.
    Everything,
    /// On these tasks and their runs, and on nothing else.
    Tasks(Vec<TaskName>),
}

/// The identity behind a valid session or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name in the audit trail.
    pub actor: Actor,
    /// Its permission.
    pub role: Role,
    /// The numbers of the tasks for which it holds; none for everything. A number stays when its task is renamed, and
    /// another task never gets it.
    pub tasks: Option<BTreeSet<TaskId>>,
}

impl Principal {
    /// Reports if it may view a task and its runs.
    pub fn sees(&self, task: TaskId) -> bool {
        self.tasks
            .as_ref()
            .is_none_or(|tasks| tasks.contains(&task))
    }
}

/// Users by name.
pub fn users(tx: &Tx<'_>) -> Result<Vec<Account>, StoreError> {
    tx.0.prepare("SELECT id, name, role, password_hash, created_at FROM users ORDER BY name")?
        .query_and_then([], read_account)?
        .collect()
}

/// Reports if there is no user yet.
pub fn nobody(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx
        .0
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM users)", [], |row| {
            row.get(0)
        })?)
}

/// The user of that name.
pub fn user(tx: &Tx<'_>, name: &str) -> Result<Option<Account>, StoreError> {
    tx.0.prepare("SELECT id, name, role, password_hash, created_at FROM users WHERE name = ?1")?
        .query_and_then([name], read_account)?
        .next()
        .transpose()
}

/// The user of that name.
///
/// # Errors
/// [`StoreError::NotFound`] where there is no such user.
pub fn get(tx: &Tx<'_>, name: &UserName) -> Result<Account, StoreError> {
    user(tx, name.as_str())?.ok_or_else(|| no_user(name))
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

pub(super) fn role(row: &Row<'_>) -> Result<Role, StoreError> {
    row.get::<_, String>("role")?
        .parse()
        .map_err(corrupt("role"))
}

/// Adds a user; returns the user's number.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken.
pub fn add_user(
    tx: &Tx<'_>,
    name: &UserName,
    role: Role,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let added = tx.0.execute(
        "INSERT INTO users (name, role, password_hash, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        (name.as_str(), role.as_str(), password_hash, millis(now)),
    )?;
    if added == 0 {
        return Err(StoreError::Duplicate {
            what: "user",
            name: name.to_string(),
        });
    }
    Ok(tx.0.last_insert_rowid())
}

/// Replaces a user's password and ends the user's sessions, but for the one numbered `keep`.
///
/// # Errors
/// [`StoreError::NotFound`] where there is no such user.
pub fn set_password(
    tx: &Tx<'_>,
    name: &UserName,
    password_hash: &str,
    keep: Option<i64>,
) -> Result<(), StoreError> {
    let changed = tx.0.execute(
        "UPDATE users SET password_hash = ?2 WHERE name = ?1",
        (name.as_str(), password_hash),
    )?;
    if changed == 0 {
        return Err(no_user(name));
    }
    tx.0.execute(
        "DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE name = ?1) AND id IS NOT ?2",
        (name.as_str(), keep),
    )?;
    Ok(())
}

/// Gives a user another role; returns the one before.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::InUse`] for the last admin.
pub fn set_role(tx: &Tx<'_>, name: &UserName, role: Role) -> Result<Role, StoreError> {
    let found = user(tx, name.as_str())?.ok_or_else(|| no_user(name))?;
    if role != Role::Admin {
        keep_an_admin(tx, &found)?;
    }
    tx.0.execute(
        "UPDATE users SET role = ?2 WHERE name = ?1",
        (name.as_str(), role.as_str()),
    )?;
    Ok(found.role)
}

/// Removes a user and the user's sessions; returns who that was.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::InUse`] for the last admin.
pub fn delete_user(tx: &Tx<'_>, name: &UserName) -> Result<Account, StoreError> {
    let found = user(tx, name.as_str())?.ok_or_else(|| no_user(name))?;
    keep_an_admin(tx, &found)?;
    tx.0.execute("DELETE FROM users WHERE name = ?1", [name.as_str()])?;
    Ok(found)
}

/// Refuses to lose the last admin: then no user could create another one.
fn keep_an_admin(tx: &Tx<'_>, account: &Account) -> Result<(), StoreError> {
    let others: i64 = tx.0.query_row(
        "SELECT count(*) FROM users WHERE role = 'admin' AND id <> ?1",
        [account.id],
        |row| row.get(0),
    )?;
    if account.role == Role::Admin && others == 0 {
        return Err(StoreError::InUse(format!(
            "{:?} is the last admin; add another one first",
            account.name.as_str()
        )));
    }
    Ok(())
}

fn no_user(name: &UserName) -> StoreError {
    StoreError::NotFound {
        what: "user",
        name: name.to_string(),
    }
}
