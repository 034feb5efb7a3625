//! Copies of the server's own database.

use crate::blocking;
use crate::store::snapshot::SnapshotFile;
use crate::view::{SnapshotList, SnapshotView, rfc3339};
use crate::web::caller::Admin;
use crate::web::download::Conditions;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::snapshots;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::Response;
use futures_util::stream::unfold;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes read at a time.
const PIECE: u64 = 64 * 1024;

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
    responses((status = 200, content_type = "application/octet-stream"), (status = 206, content_type = "application/octet-stream"), (status = 304), (status = 404, body = crate::view::Problem), (status = 416, body = crate::view::Problem)))]
pub(super) async fn download(
    admin: Admin,
    conditions: Conditions,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let opened = snapshots::open(&admin, &name, !conditions.is_head()).await?;
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    let (tag, length) = (opened.tag, opened.bytes);
    conditions.answer(&tag, length, &head, |range| body(opened.file, range))
}

/// The bytes of a range of a file, in pieces.
fn body(file: File, range: Range<u64>) -> Body {
    let pieces = unfold(Some((file, range)), |state| async move {
        let (file, range) = state?;
        let read = blocking::run(move || {
            let length = PIECE.min(range.end - range.start);
            // A piece is small.
            let mut piece = vec![0; length as usize];
            file.read_exact_at(&mut piece, range.start)?;
            Ok::<_, io::Error>((file, range.start + length..range.end, piece))
        });
        match read.await.unwrap_or_else(|error| Err(error.into())) {
            Ok((_, _, piece)) if piece.is_empty() => None,
            Ok((file, rest, piece)) => Some((Ok(Bytes::from(piece)), Some((file, rest)))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::from_stream(pieces)
}

/// Removes a snapshot.
#[utoipa::path(delete, path = "/snapshots/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    snapshots::delete(&admin, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
