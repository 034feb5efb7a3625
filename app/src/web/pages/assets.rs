//! Style sheet and modules, compiled in.

use crate::web::error::ApiError;
use crate::web::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

const ASSETS: &[(&str, &str, &str)] = &[
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../assets/style.css"),
    ),
    (
        "live.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/live.js"),
    ),
    (
        "log.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/log.js"),
    ),
    (
        "ansi.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/ansi.js"),
    ),
    (
        "form.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/form.js"),
    ),
    (
        "search.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/search.js"),
    ),
    (
        "task.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/task.js"),
    ),
    (
        "editor.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/editor.js"),
    ),
    (
        "upload.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/upload.js"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../assets/icon.svg"),
    ),
];

/// `/assets/{name}`.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, ApiError> {
    let (_, kind, text) = ASSETS
        .iter()
        .find(|(known, ..)| *known == name)
        .ok_or(ApiError::NoRoute)?;
    // The names stay the same across versions, so browsers ask again after a while.
    let head = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    Ok((head, *text).into_response())
}
