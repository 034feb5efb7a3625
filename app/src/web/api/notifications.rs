//! Notifications: the channels, a test of one, and the deliveries.

use crate::store;
use crate::view::{ChannelBody, ChannelList, ChannelView, DeliveryList, DeliveryView};
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::channels::{self, view};
use axum::http::StatusCode;

/// Deliveries that are listed.
pub(crate) const LISTED: u32 = 100;

/// All channels by name; what is secret of their targets is not shown.
#[utoipa::path(get, path = "/channels", responses((status = 200, body = ChannelList)))]
pub(super) async fn list(admin: Admin) -> Result<Json<ChannelList>, ApiError> {
    let stored = admin.store.read(store::channels::list).await?;
    let channels = stored.iter().map(|one| view(&admin, one)).collect();
    Ok(Json(ChannelList { channels }))
}

/// Adds a channel.
#[utoipa::path(post, path = "/channels", request_body = ChannelBody,
    responses((status = 201, body = ChannelView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn create(
    admin: Admin,
    Json(body): Json<ChannelBody>,
) -> Result<(StatusCode, Json<ChannelView>), ApiError> {
    let stored = channels::create(&admin, body).await?;
    Ok((StatusCode::CREATED, Json(view(&admin, &stored))))
}

/// One channel.
#[utoipa::path(get, path = "/channels/{name}",
    responses((status = 200, body = ChannelView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(
    admin: Admin,
    Path(name): Path<String>,
) -> Result<Json<ChannelView>, ApiError> {
    let stored = channels::get(&admin, &name).await?;
    Ok(Json(view(&admin, &stored)))
}

/// Replaces a channel. A secret that is left empty stays as it is, for the same server.
#[utoipa::path(put, path = "/channels/{name}", request_body = ChannelBody,
    responses((status = 200, body = ChannelView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn replace(
    admin: Admin,
    Path(name): Path<String>,
    Json(body): Json<ChannelBody>,
) -> Result<Json<ChannelView>, ApiError> {
    let stored = channels::replace(&admin, &name, body).await?;
    Ok(Json(view(&admin, &stored)))
}

/// Removes a channel and what waits for it.
#[utoipa::path(delete, path = "/channels/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    channels::delete(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message to a channel now, and answers when the other side took it.
#[utoipa::path(post, path = "/channels/{name}/test",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 502, body = crate::view::Problem)))]
pub(super) async fn test(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    channels::test(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The newest notifications, newest first, and what became of them.
#[utoipa::path(get, path = "/deliveries", responses((status = 200, body = DeliveryList)))]
pub(super) async fn deliveries(admin: Admin) -> Result<Json<DeliveryList>, ApiError> {
    let newest = admin
        .store
        .read(|tx| store::outbox::newest(tx, LISTED))
        .await?;
    Ok(Json(DeliveryList {
        deliveries: newest.iter().map(DeliveryView::from).collect(),
    }))
}
