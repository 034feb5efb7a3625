//! Acts on pools.

use crate::domain::audit::SubjectKind;
use crate::domain::field::FieldError;
use crate::domain::names::PoolName;
use crate::domain::pool::Pool;
use crate::store::{self, PoolUse, StoreError};
use crate::view::PoolBody;
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;

/// Adds a pool.
pub(in crate::web) async fn create(admin: &Admin, body: &PoolBody) -> Result<PoolUse, ApiError> {
    save(admin, body, false).await
}

/// Changes the slots of the pool `name`; a pool keeps its name.
pub(in crate::web) async fn replace(
    admin: &Admin,
    name: &str,
    body: &PoolBody,
) -> Result<PoolUse, ApiError> {
    if body.name != name {
        let problem = format!("must stay {name:?}: add a pool of the new name and move the tasks");
        return Err(FieldError::new("name", problem).into());
    }
    save(admin, body, true).await
}

async fn save(admin: &Admin, body: &PoolBody, exists: bool) -> Result<PoolUse, ApiError> {
    let name = PoolName::new(body.name.as_str())
        .map_err(|error| FieldError::new("name", error.problem))?;
    let pool = Pool::new(name, body.slots)?;
    let stored = admin
        .change(move |ledger| {
            let old = match exists {
                true => Some(store::pools::get(ledger, &pool.name)?.pool),
                false => None,
            };
            write(ledger, old.as_ref(), &pool)?;
            store::pools::get(ledger, &pool.name)
        })
        .await?;
    admin.engine.pools_changed().await;
    Ok(stored)
}

/// Writes a pool in place of `old`, with its audit entry.
pub(super) fn write(
    ledger: &Ledger<'_>,
    old: Option<&Pool>,
    pool: &Pool,
) -> Result<(), StoreError> {
    match old {
        None => store::pools::insert(ledger, pool)?,
        Some(_) => store::pools::resize(ledger, pool)?,
    }
    let (before, after) = (old.map(PoolBody::from), PoolBody::from(pool));
    ledger.compare(
        SubjectKind::Pool,
        &after.name,
        before.as_ref(),
        Some(&after),
    )
}

/// Deletes a pool that no task names.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let name = PoolName::new(name)?;
    admin
        .change(move |ledger| {
            let before = PoolBody::from(&store::pools::get(ledger, &name)?.pool);
            store::pools::delete(ledger, &name)?;
            ledger.compare(SubjectKind::Pool, name.as_str(), Some(&before), None)
        })
        .await?;
    admin.engine.pools_changed().await;
    Ok(())
}
