//! Pools.

use crate::domain::audit::SubjectKind;
use crate::domain::field::FieldError;
use crate::domain::names::PoolName;
use crate::domain::pool::Pool;
use crate::engine::PoolState;
use crate::store;
use crate::view::{PoolBody, PoolList, PoolView};
use crate::web::App;
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

fn pool(body: &PoolBody) -> Result<Pool, FieldError> {
    let name = PoolName::new(body.name.as_str()).map_err(|e| FieldError::new("name", e.problem))?;
    Pool::new(name, body.slots)
}

async fn view(app: &App, stored: &store::PoolUse) -> PoolView {
    let mut states = app.engine.pools().await;
    with_state(stored, states.remove(&stored.pool.name).unwrap_or_default())
}

fn with_state(stored: &store::PoolUse, state: PoolState) -> PoolView {
    let numbers =
        |runs: Vec<crate::domain::lifecycle::RunId>| runs.into_iter().map(|r| r.0).collect();
    PoolView::new(stored, numbers(state.holders), numbers(state.waiting))
}

/// All pools by name, with the runs that hold and wait for their slots.
#[utoipa::path(get, path = "/pools", responses((status = 200, body = PoolList)))]
pub(in crate::web) async fn list(
    _: Viewer,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<PoolList>, ApiError> {
    let stored = app.store.read(store::pools::list).await?;
    let mut states = app.engine.pools().await;
    let pools = stored
        .iter()
        .map(|pool| with_state(pool, states.remove(&pool.pool.name).unwrap_or_default()))
        .collect();
    Ok(JsonReply(PoolList { pools }))
}

/// Adds a pool.
#[utoipa::path(post, path = "/pools", request_body = PoolBody,
    responses((status = 201, body = PoolView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn create(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<PoolBody>,
) -> Result<(StatusCode, JsonReply<PoolView>), ApiError> {
    let pool = pool(&body)?;
    let stored = app
        .change(admin.actor(), move |ledger| {
            store::pools::insert(ledger, &pool)?;
            ledger.compare(SubjectKind::Pool, &body.name, None, Some(&body))?;
            store::pools::get(ledger, &pool.name)
        })
        .await?;
    app.engine.pools_changed().await;
    Ok((StatusCode::CREATED, JsonReply(view(&app, &stored).await)))
}

/// Changes the slots of a pool. A pool keeps its name.
#[utoipa::path(put, path = "/pools/{name}", request_body = PoolBody,
    responses((status = 200, body = PoolView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn replace(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(body): Json<PoolBody>,
) -> Result<JsonReply<PoolView>, ApiError> {
    if body.name != name {
        return Err(FieldError::new(
            "name",
            format!("must stay {name:?}: add a pool of the new name and move the tasks"),
        )
        .into());
    }
    let pool = pool(&body)?;
    let stored = app
        .change(admin.actor(), move |ledger| {
            let before = PoolBody::from(&store::pools::get(ledger, &pool.name)?.pool);
            store::pools::resize(ledger, &pool)?;
            ledger.compare(SubjectKind::Pool, &body.name, Some(&before), Some(&body))?;
            store::pools::get(ledger, &pool.name)
        })
        .await?;
    app.engine.pools_changed().await;
    Ok(JsonReply(view(&app, &stored).await))
}

/// Removes a pool that no task names.
#[utoipa::path(delete, path = "/pools/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = PoolName::new(name)?;
    app.change(admin.actor(), move |ledger| {
        let before = PoolBody::from(&store::pools::get(ledger, &name)?.pool);
        store::pools::delete(ledger, &name)?;
        ledger.compare(SubjectKind::Pool, name.as_str(), Some(&before), None)
    })
    .await?;
    app.engine.pools_changed().await;
    Ok(StatusCode::NO_CONTENT)
}
