//! The page of Python packages: the installed ones, with a form to install more.

use super::edit::{deleted, to};
use super::form::{Fields, Refusals, refused};
use super::frame::{Frame, Section};
use super::grid::{Mark, run_mark};
use super::relative_time::ago;
use super::task::newest;
use super::{PageAdmin, PageError, PageViewer, html};
use crate::engine;
use crate::libraries::Library;
use crate::store::{self, Found};
use crate::web::App;
use crate::web::extract::Path;
use crate::web::operations::{libraries, once::LIBRARIES};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "libraries.html")]
struct LibrariesPage {
    frame: Frame,
    body: LibrariesFragment,
    /// True if steps find a python3.
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
pub(super) async fn page(viewer: PageViewer) -> Result<Response, PageError> {
    let page = show(&viewer, String::new(), Refusals::default()).await?;
    Ok(html(&page))
}

/// The live part of the page.
pub(super) async fn fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    Ok(html(&list(&app, viewer.admin).await?))
}

async fn show(
    viewer: &PageViewer,
    packages: String,
    refusals: Refusals,
) -> Result<LibrariesPage, PageError> {
    Ok(LibrariesPage {
        body: list(viewer, viewer.admin).await?,
        frame: Frame::new(viewer, Section::Libraries),
        python: engine::finds("python3"),
        packages,
        refusals,
    })
}

async fn list(app: &App, admin: bool) -> Result<LibrariesFragment, PageError> {
    let libraries = libraries::list(app).await?;
    let last = app
        .store
        .read(|tx| match store::tasks::by_name(tx, LIBRARIES).found()? {
            Some(task) => Ok(newest(tx, &task, 1)?.pop()),
            None => Ok(None),
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

/// Installs the packages that were typed, and shows pip at work.
pub(super) async fn install(admin: PageAdmin, fields: Fields) -> Result<Response, PageError> {
    let typed = fields.text("packages");
    let lines = typed.lines().map(str::trim).filter(|line| !line.is_empty());
    let packages: Vec<String> = lines.map(str::to_owned).collect();
    match libraries::install(&admin, &packages).await {
        Ok(run) => Ok(to(&format!("/runs/{}", run.0))),
        Err(error) => {
            let refusals = Refusals::new(error)?;
            Ok(refused(&show(&admin.viewer, typed, refusals).await?))
        }
    }
}

/// Deletes a package, and shows pip at work.
pub(super) async fn remove(
    admin: PageAdmin,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    match libraries::delete(&admin, &name).await {
        Ok(run) => Ok(to(&format!("/runs/{}", run.0))),
        Err(error) => deleted(Err(error), "/libraries"),
    }
}
