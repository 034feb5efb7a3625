//! Addresses by which a test makes a debug build panic. A release has none of them.

use crate::blocking;
use crate::faults::{Place, arm, check};
use crate::store::StoreError;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream::unfold;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The addresses, below those of the API.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/faults/{place}", post(panic))
}

async fn panic(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(place): Path<String>,
) -> Result<Response, ApiError> {
    let place = match place.as_str() {
        "handler" => Place::Handler,
        "body" => Place::Body,
        "store" => Place::Store,
        "blocking" => Place::Blocking,
        "notification" => Place::Notification,
        "maintenance" => Place::Maintenance,
        "engine" => Place::Engine,
        other => return Err(ApiError::NotFound(format!("place {other:?}"))),
    };
    arm(place);
    match place {
        Place::Handler => check(place),
        Place::Blocking => blocking::run(move || check(place)).await?,
        Place::Store => {
            let work = move |_: &crate::store::Tx<'_>| {
                check(place);
                Ok::<_, StoreError>(())
            };
            app.store.write(work).await?;
        }
        Place::Body => {
            let pieces = unfold(0, |n| async move {
                if n > 0 {
                    // The head and the first piece are on their way by then.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    check(Place::Body);
                }
                Some((Ok::<_, io::Error>(Bytes::from(vec![b'x'; 4096])), n + 1))
            });
            return Ok(Body::from_stream(pieces).into_response());
        }
        // These reach their place by themselves.
        Place::Notification | Place::Maintenance | Place::Engine => {}
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
