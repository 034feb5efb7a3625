//! The versions of a script: what changed since each, and the way back to it.

use super::diff::{self, Line};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageError, PageViewer, html, shown};
use crate::domain::names::ScriptName;
use crate::web::App;
use crate::web::api;
use crate::web::api::scripts::{blocking, missing};
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Path;
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "versions.html")]
struct VersionsPage {
    frame: Frame,
    script: String,
    rows: Vec<Row>,
}

struct Row {
    number: u64,
    saved: String,
    size: u64,
}

#[derive(Template)]
#[template(path = "version.html")]
struct VersionPage {
    frame: Frame,
    script: String,
    number: u64,
    /// From the version to the present text; none where one of them is no text.
    lines: Option<Vec<Line>>,
}

/// `/scripts/{name}/versions`: all that are kept, newest first.
pub(super) async fn list(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let name = ScriptName::new(name)?;
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    let versions = blocking(move || {
        let versions = scripts.versions(&wanted)?;
        // What was removed can be brought back; what never was has no page.
        let known = !versions.is_empty() || scripts.read(&wanted)?.is_some();
        Ok(known.then_some(versions))
    });
    let versions = versions.await?.ok_or_else(|| missing(&name))?;
    let rows = versions.into_iter().map(|version| Row {
        number: version.number,
        saved: shown(version.saved_at, app.zone.get()),
        size: version.size,
    });
    Ok(html(&VersionsPage {
        frame: Frame::new(viewer, Section::Scripts),
        script: name.to_string(),
        rows: rows.collect(),
    }))
}

/// `/scripts/{name}/versions/{number}`: what changed since then.
pub(super) async fn show(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path((name, number)): Path<(String, u64)>,
) -> Result<Response, PageError> {
    let name = ScriptName::new(name)?;
    let old = kept(&app, &name, number).await?;
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    let present = blocking(move || scripts.read(&wanted)).await?;
    let present = String::from_utf8(present.unwrap_or_default());
    let lines = match (String::from_utf8(old), present) {
        (Ok(old), Ok(new)) => Some(blocking(move || Ok(diff::lines(&old, &new))).await?),
        _ => None,
    };
    Ok(html(&VersionPage {
        frame: Frame::new(viewer, Section::Scripts),
        script: name.to_string(),
        number,
        lines,
    }))
}

/// Makes a version the present text; the text it replaces stays among the versions.
pub(super) async fn restore(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path((name, number)): Path<(String, u64)>,
) -> Result<Response, PageError> {
    let bytes = kept(&app, &ScriptName::new(name.as_str())?, number).await?;
    let path = Path(name.clone());
    let _ = api::scripts::put(admin, State(app), path, Body::from(bytes)).await?;
    Ok(Redirect::to(&format!("/scripts/{name}")).into_response())
}

async fn kept(app: &App, name: &ScriptName, number: u64) -> Result<Vec<u8>, ApiError> {
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    let bytes = blocking(move || scripts.version(&wanted, number)).await?;
    bytes.ok_or_else(|| missing(name))
}
