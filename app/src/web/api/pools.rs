//! Pools.

use crate::engine::PoolState;
use crate::store::{self, PoolUse};
use crate::view::{PoolBody, PoolList, PoolView};
use crate::web::App;
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::pools;
use axum::http::StatusCode;

async fn view(app: &App, stored: &PoolUse) -> PoolView {
    let mut states = app.engine.pools().await;
    with_state(stored, states.remove(&stored.pool.name).unwrap_or_default())
}

fn with_state(stored: &PoolUse, state: PoolState) -> PoolView {
    let numbers =
        |runs: Vec<crate::domain::lifecycle::RunId>| runs.into_iter().map(|r| r.0).collect();
    PoolView::new(stored, numbers(state.holders), numbers(state.waiting))
}

/// All pools by name, with the runs that hold and wait for their slots.
#[utoipa::path(get, path = "/pools", responses((status = 200, body = PoolList)))]
pub(super) async fn list(viewer: Viewer) -> Result<Json<PoolList>, ApiError> {
    let stored = viewer.store.read(store::pools::list).await?;
    let mut states = viewer.engine.pools().await;
    let pools = stored
        .iter()
        .map(|pool| with_state(pool, states.remove(&pool.pool.name).unwrap_or_default()))
        .collect();
    Ok(Json(PoolList { pools }))
}

/// Adds a pool.
#[utoipa::path(post, path = "/pools", request_body = PoolBody,
    responses((status = 201, body = PoolView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn create(
    admin: Admin,
    Json(body): Json<PoolBody>,
) -> Result<(StatusCode, Json<PoolView>), ApiError> {
    let stored = pools::create(&admin, &body).await?;
    Ok((StatusCode::CREATED, Json(view(&admin, &stored).await)))
}

/// Changes the slots of a pool. A pool keeps its name.
#[utoipa::path(put, path = "/pools/{name}", request_body = PoolBody,
    responses((status = 200, body = PoolView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn replace(
    admin: Admin,
    Path(name): Path<String>,
    Json(body): Json<PoolBody>,
) -> Result<Json<PoolView>, ApiError> {
    let stored = pools::replace(&admin, &name, &body).await?;
    Ok(Json(view(&admin, &stored).await))
}

/// Removes a pool that no task names.
#[utoipa::path(delete, path = "/pools/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    pools::delete(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
