//! Python packages for the scripts: what is installed, and putting in and taking out.
//!
//! pip runs as a step of the task `libraries`, so it has a log, a time limit and a cancel like
//! any other step, and never sees a shell.

use super::scripts::{blocking, own_task};
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::names::{NAME_MAX, PoolName, StepName, TaskName};
use crate::domain::requirement::{Requirement, is_name};
use crate::domain::step::{Command, Retry, RunRule, Step, timeout};
use crate::domain::task::{MissedPolicy, Retention, Task, TaskParts};
use crate::view::{InstallBody, LibraryList, LibraryView, Triggered};
use crate::web::App;
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The task whose runs are installations.
pub(in crate::web) const LIBRARIES: &str = "libraries";

/// Most packages in one installation.
const MOST: usize = 50;

/// Calls pip, says what is missing where it cannot work, and removes what pip leaves behind of
/// older versions. `-I` keeps scripts that are called like a module of pip out of its way.
const INSTALL: &str = include_str!("install.py");

/// What is installed, by name.
#[utoipa::path(get, path = "/libraries", responses((status = 200, body = LibraryList)))]
pub(in crate::web) async fn list(
    _: Viewer,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<LibraryList>, ApiError> {
    let libraries = app.libraries.clone();
    let found = blocking(move || libraries.list()).await?;
    let libraries = found.into_iter().map(|library| LibraryView {
        name: library.name,
        version: library.version,
        summary: library.summary,
    });
    Ok(JsonReply(LibraryList {
        libraries: libraries.collect(),
    }))
}

/// Installs packages with pip, as a run of the task `libraries`. Refused with 409 while one runs.
#[utoipa::path(post, path = "/libraries", request_body = InstallBody,
    responses((status = 202, body = Triggered), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn install(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<InstallBody>,
) -> Result<(StatusCode, JsonReply<Triggered>), ApiError> {
    let refuse = |why: &str| FieldError::new("packages", why);
    if body.packages.is_empty() {
        return Err(refuse("is empty; name a package, such as requests").into());
    }
    if body.packages.len() > MOST {
        return Err(refuse("are too many; install at most 50 at once").into());
    }
    let wanted = body.packages.iter().map(|text| text.parse::<Requirement>());
    let wanted = wanted.collect::<Result<Vec<Requirement>, FieldError>>()?;
    let folder = app.libraries.folder().to_string_lossy().into_owned();
    let task = task(folder, &wanted)?;
    let now = app.clock.now();
    let id = app.store.write(move |tx| own_task(tx, &task, now)).await?;
    app.engine.tasks_changed().await;
    let run = app.engine.trigger(id).await?;
    let names: Vec<&str> = wanted.iter().map(Requirement::as_str).collect();
    let deed = Deed::new(Action::Added, SubjectKind::Libraries, names.join(" "));
    let deed = deed.with("run", None, Some(run.0.to_string()));
    app.note(admin.actor(), deed).await?;
    Ok((StatusCode::ACCEPTED, JsonReply(Triggered { run: run.0 })))
}

/// Takes a package out, with its files. Needs neither Python nor a network.
#[utoipa::path(delete, path = "/libraries/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn remove(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let missing = || ApiError::NotFound(format!("library {name:?}"));
    if !is_name(&name) {
        return Err(missing());
    }
    let (libraries, wanted) = (app.libraries.clone(), name.clone());
    let removed = app.change(admin.actor(), move |ledger| {
        let removed = libraries.remove(&wanted)?;
        if removed {
            ledger.note(&Deed::new(Action::Removed, SubjectKind::Libraries, wanted))?;
        }
        Ok(removed)
    });
    match removed.await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(missing()),
    }
}

/// What is installed names the step, so that a retry of an older installation is refused
/// rather than taken for the latest one.
fn step_name(wanted: &[Requirement]) -> Result<StepName, FieldError> {
    let names: Vec<&str> = wanted.iter().map(Requirement::as_str).collect();
    let name = format!("install {}", names.join(" "));
    StepName::new(name.chars().take(NAME_MAX).collect::<String>().trim_end())
}

/// The task that installs `wanted` into `folder`.
fn task(folder: String, wanted: &[Requirement]) -> Result<Task, ApiError> {
    let mut args = vec!["-I".to_owned(), "-c".to_owned(), INSTALL.to_owned(), folder];
    args.extend(wanted.iter().map(ToString::to_string));
    let step = Step {
        name: step_name(wanted)?,
        command: Command::new("python3", args)?,
        rule: RunRule::OnSuccess,
        timeout_s: timeout(1800)?,
        retry: Retry::default(),
        env: BTreeMap::new(),
        working_dir: None,
    };
    Ok(Task::try_from(TaskParts {
        name: TaskName::new(LIBRARIES)?,
        cron: None,
        zone: None,
        pool: PoolName::default_pool(),
        auto: false,
        on_missed: MissedPolicy::default(),
        retention: Retention::new(20, 90)?,
        steps: vec![step],
    })?)
}
