//! Scripts: the list, the editor, and a run to try one out.

use super::edit::{FormPage, saved, to};
use super::form::{Fields, Refusals, refused};
use super::frame::{Frame, Section};
use super::{Moment, PageAdmin, PageError, PageViewer, html};
use crate::domain::field::FieldError;
use crate::domain::names::ScriptName;
use crate::scripts::{OtherFile, ScriptInfo};
use crate::store;
use crate::view::Args;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Path;
use crate::web::operations::{once::SCRATCH, scripts};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "scripts.html")]
struct ScriptsPage {
    frame: Frame,
    rows: Vec<ScriptRow>,
    /// Files that are no scripts, for admins.
    others: Vec<OtherRow>,
    scratch: bool,
}

struct OtherRow {
    name: String,
    size: u64,
    modified: Moment,
    changed: bool,
}

struct ScriptRow {
    name: String,
    size: u64,
    modified: Moment,
    tasks: Vec<String>,
}

#[derive(Template)]
#[template(path = "script.html")]
pub(super) struct ScriptEditPage {
    frame: Frame,
    refusals: Refusals,
    /// The script that is changed; none for a new one.
    script: Option<String>,
    name: String,
    /// None where it is no text.
    text: Option<String>,
    /// The newest version when the editor was opened.
    base: u64,
    /// True if the next save must insist.
    insist: bool,
    args: String,
}

/// `/scripts`: all scripts.
pub(super) async fn list(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let admin = viewer.admin;
    let (infos, others) = scripts::with_scripts(&app, move |scripts| {
        let others = match admin {
            true => scripts.others()?,
            false => Vec::new(),
        };
        Ok((scripts.list()?, others))
    })
    .await?;
    let other = |other: OtherFile| OtherRow {
        size: other.info.size,
        modified: Moment::new(&app, other.info.modified_at),
        name: other.info.name.to_string(),
        changed: other.changed,
    };
    let others = others.into_iter().map(other).collect();
    let tasks = app.store.read(store::tasks::list).await?;
    let row = |info: ScriptInfo| ScriptRow {
        tasks: tasks
            .iter()
            .filter(|stored| stored.task.steps().iter().any(|s| runs(s, &info.name)))
            .map(|stored| stored.task.name.to_string())
            .collect(),
        size: info.size,
        modified: Moment::new(&app, info.modified_at),
        name: info.name.to_string(),
    };
    Ok(html(&ScriptsPage {
        frame: Frame::new(&viewer, Section::Scripts),
        scratch: tasks
            .iter()
            .any(|t| t.own && t.task.name.as_str() == SCRATCH),
        rows: infos.into_iter().map(row).collect(),
        others,
    }))
}

/// Reports if a step names the script, as `backup.py` or by a path.
fn runs(step: &crate::domain::step::Step, name: &ScriptName) -> bool {
    let words = std::iter::once(step.command.program())
        .chain(step.command.args().iter().map(String::as_str));
    words
        .filter_map(|word| word.rsplit('/').next())
        .any(|word| word == name.as_str())
}

/// `/scripts/{name}`: the editor, for viewers to read.
pub(super) async fn edit_page(
    viewer: PageViewer,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let page = ScriptEditPage::page(&viewer, Some(&name), None, Refusals::default());
    Ok(html(&page.await?))
}

impl FormPage for ScriptEditPage {
    const LIST: &'static str = "/scripts";

    async fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let (text, base) = match (typed, name) {
            (Some(typed), _) => (
                Some(typed.text("text")),
                typed.line("base").parse().unwrap_or(0),
            ),
            (None, None) => (Some(String::new()), 0),
            (None, Some(name)) => {
                let name = ScriptName::new(name)?;
                let bytes = scripts::read(viewer, &name).await?;
                let base = scripts::with_scripts(viewer, move |all| all.newest_version(&name));
                (String::from_utf8(bytes).ok(), base.await?)
            }
        };
        let line = |field| typed.map(|typed| typed.line(field)).unwrap_or_default();
        Ok(Self {
            frame: Frame::new(viewer, Section::Scripts),
            insist: typed.is_some() && refusals.is_general(),
            refusals,
            script: name.map(str::to_owned),
            name: name.map_or_else(|| line("name"), str::to_owned),
            text,
            base,
            args: typed.map(|typed| typed.text("args")).unwrap_or_default(),
        })
    }

    async fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let wanted = name.map_or_else(|| typed.line("name"), str::to_owned);
        let script = ScriptName::new(wanted.as_str())?;
        if name.is_none() {
            let found = script.clone();
            let found = scripts::with_scripts(admin, move |all| all.read(&found));
            if found.await?.is_some() {
                let problem = format!("{wanted:?} exists already; open it instead");
                return Err(FieldError::new("name", problem).into());
            }
        }
        let text = typed.text("text");
        if typed.text("do") != "insist" {
            scripts::check(admin, &script, &text, &typed.line("base")).await?;
        }
        scripts::save(admin, script, text.into()).await?;
        Ok(saved(&format!("/scripts/{wanted}")))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        scripts::delete(admin, name).await
    }
}

/// Makes a script of a file that a step or a person put into the folder.
pub(super) async fn adopt(
    admin: PageAdmin,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    scripts::adopt(&admin, &name).await?;
    Ok(to(&format!("/scripts/{name}")))
}

/// Runs a script once, as it is saved, and shows the run.
pub(super) async fn run(
    admin: PageAdmin,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let args = fields.text("args");
    match scripts::run(&admin, &name, &Args::Line(args.clone())).await {
        Ok(run) => Ok(to(&format!("/runs/{}", run.0))),
        Err(error) => {
            let refusals = Refusals::new(error)?;
            let page = ScriptEditPage::page(&admin.viewer, Some(&name), None, refusals).await?;
            Ok(refused(&ScriptEditPage { args, ..page }))
        }
    }
}
