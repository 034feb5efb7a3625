//! Copies of the server's own database.

use crate::blocking;
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::store::snapshot::{self, SnapshotFile};
use crate::view::{SnapshotList, SnapshotView, rfc3339};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Path;
use axum::Json as JsonReply;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

fn view(file: SnapshotFile) -> SnapshotView {
    SnapshotView {
        name: file.name,
        bytes: file.bytes,
        at: rfc3339(file.at),
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::NotFound(format!("snapshot {name:?}"))
}

/// All snapshots, newest first.
#[utoipa::path(get, path = "/snapshots", responses((status = 200, body = SnapshotList)))]
pub(in crate::web) async fn list(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<SnapshotList>, ApiError> {
    let folder = app.backups.clone();
    let files = blocking::run(move || snapshot::list(&folder)).await??;
    Ok(JsonReply(SnapshotList {
        snapshots: files.into_iter().map(view).collect(),
    }))
}

/// Copies the database while everything goes on, and keeps the ten newest of these copies.
#[utoipa::path(post, path = "/snapshots", responses((status = 201, body = SnapshotView)))]
pub(in crate::web) async fn take(
    admin: Admin,
    State(app): State<Arc<App>>,
) -> Result<(StatusCode, JsonReply<SnapshotView>), ApiError> {
    let (live, folder) = (app.store.path().to_owned(), app.backups.clone());
    let now = app.clock.now();
    let _turn = app.snapshots.lock().await;
    let taken = blocking::run(move || snapshot::take(&live, &folder, now)).await?;
    let file = taken.map_err(|error| ApiError::Internal(error.to_string()))?;
    let deed = Deed::new(Action::Added, SubjectKind::Snapshot, file.name.as_str()).with(
        "bytes",
        None,
        Some(file.bytes.to_string()),
    );
    app.note(admin.actor(), deed).await?;
    Ok((StatusCode::CREATED, JsonReply(view(file))))
}

/// A snapshot itself. It holds hashes of passwords and tokens, and secrets only sealed.
#[utoipa::path(get, path = "/snapshots/{name}",
    responses((status = 200, content_type = "application/vnd.sqlite3"), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn download(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    if !snapshot::is_name(&name) {
        return Err(missing(&name));
    }
    let path = app.backups.join(&name);
    let opened = blocking::run(move || -> io::Result<(File, u64)> {
        let flags = nix::fcntl::OFlag::O_NOFOLLOW.bits();
        let mut options = File::options();
        let file = options.read(true).custom_flags(flags).open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    });
    let (file, bytes) = match opened.await? {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(&name)),
        other => other?,
    };
    let deed = Deed::new(Action::Downloaded, SubjectKind::Snapshot, name.as_str());
    app.note(admin.actor(), deed).await?;
    let pieces = unfold(Some(file), |file| async move {
        let mut file = file?;
        let read = blocking::run(move || {
            let mut piece = vec![0; PIECE];
            let n = file.read(&mut piece)?;
            piece.truncate(n);
            Ok::<_, io::Error>((file, piece))
        });
        match read.await.unwrap_or_else(|error| Err(error.into())) {
            Ok((_, piece)) if piece.is_empty() => None,
            Ok((file, piece)) => Some((Ok(Bytes::from(piece)), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let head = [
        (header::CONTENT_TYPE, "application/vnd.sqlite3".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((head, Body::from_stream(pieces)).into_response())
}

/// Removes a snapshot.
#[utoipa::path(delete, path = "/snapshots/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    if !snapshot::is_name(&name) {
        return Err(missing(&name));
    }
    let path = app.backups.join(&name);
    match blocking::run(move || std::fs::remove_file(path)).await? {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(&name)),
        other => other?,
    }
    let deed = Deed::new(Action::Removed, SubjectKind::Snapshot, name);
    app.note(admin.actor(), deed).await?;
    Ok(StatusCode::NO_CONTENT)
}
