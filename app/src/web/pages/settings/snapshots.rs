//! Snapshots: Lightflow's own database, copied while it runs.

use crate::view::{SnapshotList, SnapshotView};
use crate::web::App;
use crate::web::api;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Path;
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageAdmin, PageError, html, shown};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "snapshots.html")]
struct SnapshotsPage {
    frame: Frame,
    rows: Vec<Row>,
    folder: String,
    kept: usize,
}

struct Row {
    name: String,
    size: String,
    at: String,
}

/// `/settings/snapshots`.
pub(super) async fn list(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let axum::Json(SnapshotList { snapshots }) =
        api::snapshots::list(admin, State(app.clone())).await?;
    let row = |one: SnapshotView| Row {
        size: match one.bytes {
            bytes if bytes < 10 * 1024 * 1024 => format!("{} KiB", bytes.div_ceil(1024)),
            bytes => format!("{} MiB", bytes / (1024 * 1024)),
        },
        at: chrono::DateTime::parse_from_rfc3339(&one.at)
            .map_or_else(|_| one.at.clone(), |at| shown(at.to_utc(), app.zone.get())),
        name: one.name,
    };
    Ok(html(&SnapshotsPage {
        frame: Frame::within(viewer, Part::Snapshots),
        rows: snapshots.into_iter().map(row).collect(),
        folder: app.backups.display().to_string(),
        kept: crate::store::snapshot::KEPT,
    }))
}

/// Takes one now.
pub(super) async fn take(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let _ = api::snapshots::take(admin, State(app)).await?;
    Ok(Redirect::to("/settings/snapshots").into_response())
}

/// Removes one.
pub(super) async fn delete(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    name: Path<String>,
) -> Result<Response, PageError> {
    match api::snapshots::delete(admin, State(app), name).await {
        // Somebody else was faster.
        Ok(_) | Err(ApiError::NotFound(_)) => {
            Ok(Redirect::to("/settings/snapshots").into_response())
        }
        Err(other) => Err(other.into()),
    }
}
