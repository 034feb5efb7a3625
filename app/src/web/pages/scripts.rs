//! Scripts: the list, the editor, and a run to try one out.

use super::form::{Fields, Refusals, refused};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageError, PageViewer, html, shown};
use crate::domain::field::FieldError;
use crate::domain::names::ScriptName;
use crate::engine::syntax::{self, Syntax};
use crate::scripts::{MAX_SCRIPT, ScriptInfo};
use crate::store;
use crate::view::{Args, ScriptRunBody};
use crate::web::App;
use crate::web::api;
use crate::web::api::scripts::{blocking, missing};
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "scripts.html")]
struct ScriptsPage {
    frame: Frame,
    rows: Vec<ScriptRow>,
    scratch: bool,
}

struct ScriptRow {
    name: String,
    size: u64,
    modified: String,
    tasks: Vec<String>,
}

#[derive(Template)]
#[template(path = "script.html")]
struct EditPage {
    frame: Frame,
    refusals: Refusals,
    /// The script that is changed; none for a new one.
    script: Option<String>,
    name: String,
    /// None where it is no text.
    text: Option<String>,
    /// The newest version when the editor was opened.
    base: u64,
    /// What the interpreter said of the text.
    wrong: Option<String>,
    /// Whether saving needs to be insisted on.
    insist: bool,
    args: String,
}

/// `/scripts`: all scripts.
pub(super) async fn list(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let scripts = app.scripts.clone();
    let infos = blocking(move || scripts.list()).await?;
    let tasks = app.store.read(store::tasks::list).await?;
    let row = |info: ScriptInfo| ScriptRow {
        tasks: tasks
            .iter()
            .filter(|stored| stored.task.steps().iter().any(|s| runs(s, &info.name)))
            .map(|stored| stored.task.name.to_string())
            .collect(),
        size: info.size,
        modified: shown(info.modified_at, app.zone.get()),
        name: info.name.to_string(),
    };
    Ok(html(&ScriptsPage {
        frame: Frame::new(viewer, Section::Scripts),
        scratch: tasks
            .iter()
            .any(|t| t.task.name.as_str() == api::scripts::SCRATCH),
        rows: infos.into_iter().map(row).collect(),
    }))
}

/// Whether a step names the script, as `backup.py` or by a path.
fn runs(step: &crate::domain::step::Step, name: &ScriptName) -> bool {
    let words = std::iter::once(step.command.program())
        .chain(step.command.args().iter().map(String::as_str));
    words
        .filter_map(|word| word.rsplit('/').next())
        .any(|word| word == name.as_str())
}

/// `/add/script`: an empty editor.
pub(super) async fn add_page(PageAdmin(viewer): PageAdmin) -> Response {
    html(&EditPage {
        frame: Frame::new(viewer, Section::Scripts),
        refusals: Refusals::default(),
        script: None,
        name: String::new(),
        text: Some(String::new()),
        base: 0,
        wrong: None,
        insist: false,
        args: String::new(),
    })
}

/// Adds a script.
pub(super) async fn add(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let name = fields.line("name");
    let saved = match exists(&app, &name).await {
        Ok(true) => Err(Refusal::Form(
            FieldError::new("name", format!("{name:?} exists already; open it instead")).into(),
        )),
        Ok(false) => save(&app, admin, &name, &fields).await,
        Err(error) => Err(Refusal::Form(error)),
    };
    answer(saved, viewer, None, name, &fields)
}

/// `/scripts/{name}`: the editor.
pub(super) async fn edit_page(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let page = editor(&app, viewer, name, Refusals::default(), String::new()).await?;
    Ok(html(&page))
}

/// The editor of a script as it is saved.
async fn editor(
    app: &App,
    viewer: PageViewer,
    name: String,
    refusals: Refusals,
    args: String,
) -> Result<EditPage, PageError> {
    let script = ScriptName::new(name.as_str())?;
    let (scripts, wanted) = (app.scripts.clone(), script.clone());
    let (bytes, base) =
        blocking(move || Ok((scripts.read(&wanted)?, scripts.newest_version(&wanted)?))).await?;
    let bytes = bytes.ok_or_else(|| missing(&script))?;
    Ok(EditPage {
        frame: Frame::new(viewer, Section::Scripts),
        refusals,
        script: Some(name.clone()),
        name,
        text: String::from_utf8(bytes).ok(),
        base,
        wrong: None,
        insist: false,
        args,
    })
}

/// Saves a script.
pub(super) async fn edit(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let saved = save(&app, admin, &name, &fields).await;
    answer(saved, viewer, Some(name.clone()), name, &fields)
}

/// Removes a script and its versions.
pub(super) async fn delete(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    api::scripts::delete(admin, State(app), Path(name)).await?;
    Ok(Redirect::to("/scripts").into_response())
}

/// Runs a script once, as it is saved, and shows the run.
pub(super) async fn run(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let args = fields.text("args");
    let body = ScriptRunBody {
        args: Args::Line(args.clone()),
    };
    let path = Path(name.clone());
    match api::scripts::run(admin, State(app.clone()), path, Json(body)).await {
        Ok((_, started)) => Ok(Redirect::to(&format!("/runs/{}", started.run)).into_response()),
        Err(error) => {
            let refusals = Refusals::new(error)?;
            Ok(refused(&editor(&app, viewer, name, refusals, args).await?))
        }
    }
}

/// Why a text was not saved.
enum Refusal {
    /// The interpreter cannot read it.
    Wrong(String),
    /// Somebody else saved meanwhile.
    Overtaken,
    Form(ApiError),
}

impl<E: Into<ApiError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Form(error.into())
    }
}

async fn exists(app: &App, name: &str) -> Result<bool, ApiError> {
    let (scripts, name) = (app.scripts.clone(), ScriptName::new(name)?);
    Ok(blocking(move || scripts.read(&name)).await?.is_some())
}

/// Saves the text of the form, unless it would lose or break something and nobody insists.
async fn save(app: &Arc<App>, admin: Admin, name: &str, fields: &Fields) -> Result<(), Refusal> {
    let text = fields.text("text");
    if text.len() > MAX_SCRIPT {
        return Err(ApiError::TooLarge { limit: MAX_SCRIPT }.into());
    }
    let script = ScriptName::new(name)?;
    if fields.text("do") != "insist" {
        let (scripts, wanted) = (app.scripts.clone(), script.clone());
        let newest = blocking(move || scripts.newest_version(&wanted)).await?;
        if newest.to_string() != fields.line("base") {
            return Err(Refusal::Overtaken);
        }
        if let Syntax::Wrong(said) = syntax::check(&script, text.as_bytes()).await {
            return Err(Refusal::Wrong(said));
        }
    }
    let path = Path(name.to_owned());
    let _ = api::scripts::put(admin, State(app.clone()), path, Body::from(text)).await?;
    Ok(())
}

/// To the saved script where it worked, else back to the editor with all that was typed.
fn answer(
    result: Result<(), Refusal>,
    viewer: PageViewer,
    script: Option<String>,
    name: String,
    fields: &Fields,
) -> Result<Response, PageError> {
    let (refusals, wrong) = match result {
        Ok(()) => return Ok(Redirect::to(&format!("/scripts/{name}")).into_response()),
        Err(Refusal::Wrong(said)) => (
            Refusals::general("It was not saved: the interpreter cannot read it."),
            Some(said),
        ),
        Err(Refusal::Overtaken) => (
            Refusals::general(
                "It was not saved: somebody else saved this script meanwhile. Saving anyway replaces that text, which stays among the versions.",
            ),
            None,
        ),
        Err(Refusal::Form(error)) => (Refusals::new(error)?, None),
    };
    Ok(refused(&EditPage {
        frame: Frame::new(viewer, Section::Scripts),
        insist: refusals.is_general(),
        refusals,
        script,
        name,
        text: Some(fields.text("text")),
        base: fields.line("base").parse().unwrap_or(0),
        wrong,
        args: fields.text("args"),
    }))
}
