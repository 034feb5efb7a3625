//! Copies of the server's own database.

use crate::blocking;
use crate::store::snapshot::SnapshotFile;
use crate::view::{SnapshotList, SnapshotView, rfc3339};
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::snapshots;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::io::{self, Read};

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

fn view(file: SnapshotFile) -> SnapshotView {
    SnapshotView {
        name: file.name,
        bytes: file.bytes,
        at: rfc3339(file.at),
    }
}

/// All snapshots, newest first.
#[utoipa::path(get, path = "/snapshots", responses((status = 200, body = SnapshotList)))]
pub(super) async fn list(admin: Admin) -> Result<Json<SnapshotList>, ApiError> {
    let files = snapshots::list(&admin).await?;
    Ok(Json(SnapshotList {
        snapshots: files.into_iter().map(view).collect(),
    }))
}

/// Copies the database while everything goes on, and keeps the ten newest of these copies.
#[utoipa::path(post, path = "/snapshots", responses((status = 201, body = SnapshotView)))]
pub(super) async fn take(admin: Admin) -> Result<(StatusCode, Json<SnapshotView>), ApiError> {
    let file = snapshots::create(&admin).await?;
    Ok((StatusCode::CREATED, Json(view(file))))
}

/// A snapshot itself. It holds hashes of passwords and tokens, and secrets only sealed.
#[utoipa::path(get, path = "/snapshots/{name}",
    responses((status = 200, content_type = "application/vnd.sqlite3"), (status = 404, body = crate::view::Problem)))]
pub(super) async fn download(admin: Admin, Path(name): Path<String>) -> Result<Response, ApiError> {
    let (file, bytes) = snapshots::open(&admin, &name).await?;
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
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    snapshots::delete(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
