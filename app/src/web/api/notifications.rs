//! Notifications: the channels, a try of one, and what was sent.

use crate::domain::names::ChannelName;
use crate::store;
use crate::view::{ChannelBody, ChannelList, ChannelView, DeliveryList, DeliveryView};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::channels::{add, change, remove, try_out, view};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// Deliveries that are listed.
pub(crate) const LISTED: u32 = 100;

/// All channels by name; what is secret of their targets is not shown.
#[utoipa::path(get, path = "/channels", responses((status = 200, body = ChannelList)))]
pub(super) async fn list(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<ChannelList>, ApiError> {
    let stored = app.store.read(store::channels::list).await?;
    let channels = stored.iter().map(|one| view(&app, one)).collect();
    Ok(JsonReply(ChannelList { channels }))
}

/// Adds a channel.
#[utoipa::path(post, path = "/channels", request_body = ChannelBody,
    responses((status = 201, body = ChannelView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn create(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<ChannelBody>,
) -> Result<(StatusCode, JsonReply<ChannelView>), ApiError> {
    let stored = add(&app, &admin, body).await?;
    Ok((StatusCode::CREATED, JsonReply(view(&app, &stored))))
}

/// One channel.
#[utoipa::path(get, path = "/channels/{name}",
    responses((status = 200, body = ChannelView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<JsonReply<ChannelView>, ApiError> {
    let name = ChannelName::new(name)?;
    let stored = app
        .store
        .read(move |tx| store::channels::get(tx, &name))
        .await?;
    Ok(JsonReply(view(&app, &stored)))
}

/// Replaces a channel. A secret that is left empty stays as it is, for the same server.
#[utoipa::path(put, path = "/channels/{name}", request_body = ChannelBody,
    responses((status = 200, body = ChannelView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn replace(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(body): Json<ChannelBody>,
) -> Result<JsonReply<ChannelView>, ApiError> {
    let stored = change(&app, &admin, name, body).await?;
    Ok(JsonReply(view(&app, &stored)))
}

/// Removes a channel and what waits for it.
#[utoipa::path(delete, path = "/channels/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    remove(&app, &admin, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message to a channel now, and answers when the other side took it.
#[utoipa::path(post, path = "/channels/{name}/test",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 502, body = crate::view::Problem)))]
pub(super) async fn test(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    try_out(&app, &admin, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The newest notifications, newest first, and what became of them.
#[utoipa::path(get, path = "/deliveries", responses((status = 200, body = DeliveryList)))]
pub(super) async fn deliveries(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<DeliveryList>, ApiError> {
    let newest = app
        .store
        .read(|tx| store::outbox::newest(tx, LISTED))
        .await?;
    Ok(JsonReply(DeliveryList {
        deliveries: newest.iter().map(DeliveryView::from).collect(),
    }))
}
