//! Python packages for the scripts.

use crate::view::{InstallBody, LibraryList, LibraryView, Triggered};
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::libraries;
use axum::http::StatusCode;

/// What is installed, by name.
#[utoipa::path(get, path = "/libraries", responses((status = 200, body = LibraryList)))]
pub(super) async fn list(viewer: Viewer) -> Result<Json<LibraryList>, ApiError> {
    let found = libraries::list(&viewer).await?;
    let libraries = found.into_iter().map(|library| LibraryView {
        name: library.name,
        version: library.version,
        summary: library.summary,
    });
    Ok(Json(LibraryList {
        libraries: libraries.collect(),
    }))
}

/// Installs packages with pip, as a run of the task `libraries`. Refused with 409 while one runs.
#[utoipa::path(post, path = "/libraries", request_body = InstallBody,
    responses((status = 202, body = Triggered), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn install(
    admin: Admin,
    Json(body): Json<InstallBody>,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let run = libraries::install(&admin, &body.packages).await?.0;
    Ok((StatusCode::ACCEPTED, Json(Triggered { run })))
}

/// Removes a package, as a run of the task `libraries`. The run fails where another package needs it. Refused with 409
/// while packages change.
#[utoipa::path(delete, path = "/libraries/{name}",
    responses((status = 202, body = Triggered), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(super) async fn remove(
    admin: Admin,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let run = libraries::delete(&admin, &name).await?.0;
    Ok((StatusCode::ACCEPTED, Json(Triggered { run })))
}
