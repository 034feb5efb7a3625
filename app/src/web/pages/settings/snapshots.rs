//! Snapshots: Lightflow's own database, copied while it runs.

use crate::store::snapshot::{KEPT, SnapshotFile};
use crate::web::extract::Path;
use crate::web::operations::snapshots;
use crate::web::pages::edit::{deleted, to};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{Moment, PageAdmin, PageError, html};
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "snapshots.html")]
struct SnapshotsPage {
    frame: Frame,
    rows: Vec<SnapshotRow>,
    folder: String,
    kept: usize,
}

struct SnapshotRow {
    name: String,
    size: String,
    at: Moment,
}

/// `/settings/snapshots`.
pub(super) async fn list(admin: PageAdmin) -> Result<Response, PageError> {
    let row = |one: SnapshotFile| SnapshotRow {
        size: readable::size(one.bytes),
        at: Moment::new(&admin, one.at),
        name: one.name,
    };
    Ok(html(&SnapshotsPage {
        frame: Frame::within(&admin.viewer, Part::Snapshots),
        rows: snapshots::list(&admin)
            .await?
            .into_iter()
            .map(row)
            .collect(),
        folder: admin.backups.display().to_string(),
        kept: KEPT,
    }))
}

/// Takes a snapshot now.
pub(super) async fn take(admin: PageAdmin) -> Result<Response, PageError> {
    snapshots::create(&admin).await?;
    Ok(to("/settings/snapshots"))
}

/// Deletes a snapshot.
pub(super) async fn delete(
    admin: PageAdmin,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    deleted(
        snapshots::delete(&admin, &name).await,
        "/settings/snapshots",
    )
}
