//! The versions of a script: the changes since each, and the way back.

use super::diff::{self, Line};
use super::edit::to;
use super::frame::{Frame, Section};
use super::{Moment, PageAdmin, PageError, PageViewer, html};
use crate::blocking;
use crate::domain::names::ScriptName;
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::extract::Path;
use crate::web::operations::scripts::{missing, save, with_scripts};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "versions.html")]
struct VersionsPage {
    frame: Frame,
    script: String,
    rows: Vec<VersionRow>,
}

struct VersionRow {
    number: u64,
    saved: Moment,
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
    let wanted = name.clone();
    let versions = with_scripts(&app, move |scripts| {
        let versions = scripts.versions(&wanted)?;
        // A removed script can be brought back; one that never existed has no page.
        let known = !versions.is_empty() || scripts.read(&wanted)?.is_some();
        Ok(known.then_some(versions))
    });
    let versions = versions.await?.ok_or_else(|| missing(&name))?;
    let rows = versions.into_iter().map(|version| VersionRow {
        number: version.number,
        saved: Moment::new(&app, version.saved_at),
        size: version.size,
    });
    Ok(html(&VersionsPage {
        frame: Frame::new(&viewer, Section::Scripts),
        script: name.to_string(),
        rows: rows.collect(),
    }))
}

/// `/scripts/{name}/versions/{number}`: the changes since then.
pub(super) async fn show(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path((name, number)): Path<(String, u64)>,
) -> Result<Response, PageError> {
    let name = ScriptName::new(name)?;
    let old = kept(&app, &name, number).await?;
    let wanted = name.clone();
    let present = with_scripts(&app, move |scripts| scripts.read(&wanted)).await?;
    let present = String::from_utf8(present.unwrap_or_default());
    let lines = match (String::from_utf8(old), present) {
        (Ok(old), Ok(new)) => Some(blocking::run(move || diff::lines(&old, &new)).await?),
        _ => None,
    };
    Ok(html(&VersionPage {
        frame: Frame::new(&viewer, Section::Scripts),
        script: name.to_string(),
        number,
        lines,
    }))
}

/// Makes a version the present text; the text it replaces stays among the versions.
pub(super) async fn restore(
    admin: PageAdmin,
    Path((name, number)): Path<(String, u64)>,
) -> Result<Response, PageError> {
    let script = ScriptName::new(name.as_str())?;
    let bytes = kept(&admin, &script, number).await?;
    save(&admin, script, bytes).await?;
    Ok(to(&format!("/scripts/{name}")))
}

async fn kept(app: &App, name: &ScriptName, number: u64) -> Result<Vec<u8>, ApiError> {
    let wanted = name.clone();
    let bytes = with_scripts(app, move |scripts| scripts.version(&wanted, number)).await?;
    bytes.ok_or_else(|| missing(name))
}
