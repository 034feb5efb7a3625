//! The page of Python packages: what is installed, with a form to put more in.

use super::form::{Fields, Refusals, refused};
use super::frame::{Frame, Section};
use super::grid::{Mark, run_mark};
use super::moments::ago;
use super::task::newest;
use super::{PageAdmin, PageError, PageViewer, html};
use crate::engine;
use crate::libraries::Library;
use crate::store::{self, StoreError};
use crate::view::InstallBody;
use crate::web::App;
use crate::web::api::libraries::{self as api, LIBRARIES};
use crate::web::api::scripts::blocking;
use crate::web::caller::Admin;
use crate::web::extract::{Json, Path};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "libraries.html")]
struct LibrariesPage {
    frame: Frame,
    body: LibrariesFragment,
    /// Whether steps find a python3.
    python: bool,
    packages: String,
    refusals: Refusals,
}

#[derive(Template)]
#[template(path = "libraries_list.html")]
struct LibrariesFragment {
    admin: bool,
    libraries: Vec<Library>,
    last: Option<LastInstall>,
}

struct LastInstall {
    run: i64,
    mark: Mark,
    when: String,
}

/// `/libraries`: the page.
pub(super) async fn page(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let page = show(&app, viewer, String::new(), Refusals::default()).await?;
    Ok(html(&page))
}

/// What of it changes while it is open.
pub(super) async fn fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    Ok(html(&list(&app, viewer.admin).await?))
}

async fn show(
    app: &App,
    viewer: PageViewer,
    packages: String,
    refusals: Refusals,
) -> Result<LibrariesPage, PageError> {
    Ok(LibrariesPage {
        body: list(app, viewer.admin).await?,
        frame: Frame::new(viewer, Section::Libraries),
        python: engine::finds("python3"),
        packages,
        refusals,
    })
}

async fn list(app: &App, admin: bool) -> Result<LibrariesFragment, PageError> {
    let libraries = app.libraries.clone();
    let libraries = blocking(move || libraries.list()).await?;
    let last = app
        .store
        .read(|tx| match store::tasks::by_name(tx, LIBRARIES) {
            Ok(task) => Ok(newest(tx, &task, 1)?.pop()),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        })
        .await?;
    let now = app.clock.now();
    Ok(LibrariesFragment {
        admin,
        libraries,
        last: last.map(|run| LastInstall {
            run: run.id.0,
            mark: run_mark(run.state),
            when: ago(run.created_at, now),
        }),
    })
}

/// Installs what was typed, and shows pip at work.
pub(super) async fn install(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let typed = fields.text("packages");
    let lines = typed.lines().map(str::trim).filter(|line| !line.is_empty());
    let packages = lines.map(str::to_owned).collect();
    let body = Json(InstallBody { packages });
    match api::install(admin, State(app.clone()), body).await {
        Ok((_, started)) => Ok(Redirect::to(&format!("/runs/{}", started.run)).into_response()),
        Err(error) => {
            let refusals = Refusals::new(error)?;
            Ok(refused(&show(&app, viewer, typed, refusals).await?))
        }
    }
}

/// Takes a package out.
pub(super) async fn remove(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let _ = api::remove(admin, State(app), Path(name)).await?;
    Ok(Redirect::to("/libraries").into_response())
}
