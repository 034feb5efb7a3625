//! Pools in the database.

use super::codec::corrupt;
use super::error::StoreError;
use super::set_aside::readable;
use super::transaction::Tx;
use crate::domain::names::PoolName;
use crate::domain::pool::Pool;
use rusqlite::Row;

/// A pool and how many tasks name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUse {
    /// The pool.
    pub pool: Pool,
    /// Tasks that name it.
    pub tasks: u32,
}

const SELECT: &str =
    "SELECT name, slots, (SELECT count(*) FROM tasks WHERE pool = pools.name) AS tasks FROM pools";

/// Pools by name.
pub fn list(tx: &Tx<'_>) -> Result<Vec<PoolUse>, StoreError> {
    let mut statement = tx.0.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
    readable("pool", statement.query_and_then([], read)?)
}

/// One pool.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none of that name.
pub fn get(tx: &Tx<'_>, name: &PoolName) -> Result<PoolUse, StoreError> {
    tx.0.prepare_cached(&format!("{SELECT} WHERE name = ?1"))?
        .query_and_then([name.as_str()], read)?
        .next()
        .unwrap_or_else(|| Err(missing(name)))
}

fn read(row: &Row<'_>) -> Result<PoolUse, StoreError> {
    let name = PoolName::new(row.get::<_, String>("name")?).map_err(corrupt("pool"))?;
    Ok(PoolUse {
        pool: Pool::new(name, row.get("slots")?).map_err(corrupt("slots"))?,
        tasks: row.get("tasks")?,
    })
}

/// Adds a pool.
///
/// # Errors
/// [`StoreError::Duplicate`] where the name is taken.
pub fn insert(tx: &Tx<'_>, pool: &Pool) -> Result<(), StoreError> {
    let added = tx.0.execute(
        "INSERT INTO pools (name, slots) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        (pool.name.as_str(), pool.slots.get()),
    )?;
    if added == 0 {
        return Err(StoreError::Duplicate {
            what: "pool",
            name: pool.name.to_string(),
        });
    }
    Ok(())
}

/// Changes the slots of a pool.
///
/// # Errors
/// [`StoreError::NotFound`] where there is none of that name.
pub fn resize(tx: &Tx<'_>, pool: &Pool) -> Result<(), StoreError> {
    let changed = tx.0.execute(
        "UPDATE pools SET slots = ?2 WHERE name = ?1",
        (pool.name.as_str(), pool.slots.get()),
    )?;
    if changed == 0 {
        Err(missing(&pool.name))
    } else {
        Ok(())
    }
}

/// Removes a pool that no task names.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::InUse`] with the number of tasks.
pub fn delete(tx: &Tx<'_>, name: &PoolName) -> Result<(), StoreError> {
    let found = get(tx, name)?;
    if *name == PoolName::default_pool() {
        return Err(StoreError::InUse(
            "the pool \"default\" cannot be removed: tasks that name no pool use it".to_owned(),
        ));
    }
    if found.tasks > 0 {
        return Err(StoreError::InUse(format!(
            "the pool {:?} is used by {} task(s); move them to another pool first",
            name.as_str(),
            found.tasks
        )));
    }
    tx.0.execute("DELETE FROM pools WHERE name = ?1", [name.as_str()])?;
    Ok(())
}

fn missing(name: &PoolName) -> StoreError {
    StoreError::NotFound {
        what: "pool",
        name: name.to_string(),
    }
}
