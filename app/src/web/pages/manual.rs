//! `/docs`: the manual, compiled in and readable without a login.

use super::html;
use crate::web::error::ApiError;
use crate::web::extract::Path;
use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::PageError;

/// A page of the manual, as the build script made it.
struct ManualPage {
    slug: &'static str,
    address: &'static str,
    title: &'static str,
    /// The chapter's part; empty for the first page.
    part: &'static str,
    html: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/manual.rs"));

/// A line of the table of contents.
struct ContentsLine {
    page: &'static ManualPage,
    /// The part that begins with this page.
    part: Option<&'static str>,
    current: bool,
}

#[derive(Template)]
#[template(path = "manual.html")]
struct ManualView {
    page: &'static ManualPage,
    contents: Vec<ContentsLine>,
    previous: Option<&'static ManualPage>,
    next: Option<&'static ManualPage>,
}

/// `/docs`: its first page.
pub(super) async fn first() -> Result<Response, PageError> {
    show("index")
}

/// `/docs/{page}`.
pub(super) async fn page(Path(slug): Path<String>) -> Result<Response, PageError> {
    show(&slug)
}

fn show(slug: &str) -> Result<Response, PageError> {
    let at = PAGES.iter().position(|page| page.slug == slug);
    let at = at.ok_or(ApiError::NoRoute)?;
    let part_of = |at: usize| PAGES.get(at).map(|page| page.part);
    let contents = PAGES.iter().enumerate().map(|(number, page)| ContentsLine {
        page,
        part: Some(page.part).filter(|part| number > 0 && part_of(number - 1) != Some(part)),
        current: number == at,
    });
    let page = PAGES.get(at).ok_or(ApiError::NoRoute)?;
    Ok(html(&ManualView {
        page,
        contents: contents.collect(),
        previous: at.checked_sub(1).and_then(|before| PAGES.get(before)),
        next: PAGES.get(at + 1),
    }))
}

/// `/docs/pictures/{name}`.
pub(super) async fn picture(Path(name): Path<String>) -> Result<Response, ApiError> {
    let found = PICTURES.iter().find(|(known, _)| *known == name);
    let (_, bytes) = found.ok_or(ApiError::NoRoute)?;
    let head = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    Ok((head, *bytes).into_response())
}
