//! Scripts: files in the scripts folder.

use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::names::{PoolName, ScriptName, StepName, TaskName};
use crate::domain::step::{Command, Retry, RunRule, Step, timeout};
use crate::domain::task::{MissedPolicy, Retention, Task, TaskId, TaskParts};
use crate::engine::Change;
use crate::scripts::{Interpreter, MAX_SCRIPT, ScriptInfo, Scripts};
use crate::store::{self, StoreError};
use crate::view::{Args, ScriptList, ScriptRunBody, ScriptView, Triggered};
use crate::web::App;
use crate::web::caller::{Admin, Viewer};
use crate::web::change::Ledger;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path, read};
use axum::Json as JsonReply;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rusqlite::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

fn view(info: &ScriptInfo) -> ScriptView {
    ScriptView {
        name: info.name.to_string(),
        size: info.size,
        modified_at: crate::view::rfc3339(info.modified_at),
    }
}

pub(in crate::web) fn missing(name: &ScriptName) -> ApiError {
    ApiError::NotFound(format!("script {:?}", name.as_str()))
}

pub(in crate::web) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(crate::blocking::run(work).await??)
}

/// All scripts by name.
#[utoipa::path(get, path = "/scripts", responses((status = 200, body = ScriptList)))]
pub(in crate::web) async fn list(
    _: Viewer,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<ScriptList>, ApiError> {
    let scripts = app.scripts.clone();
    let infos = blocking(move || scripts.list()).await?;
    Ok(JsonReply(ScriptList {
        scripts: infos.iter().map(view).collect(),
    }))
}

/// The bytes of a script.
#[utoipa::path(get, path = "/scripts/{name}",
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn show(
    _: Viewer,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let name = ScriptName::new(name)?;
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    let bytes = blocking(move || scripts.read(&wanted)).await?;
    let bytes = bytes.ok_or_else(|| missing(&name))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// Writes a script, new or not; at most 1 MiB.
#[utoipa::path(put, path = "/scripts/{name}", request_body(content_type = "application/octet-stream"),
    responses((status = 200, body = ScriptView), (status = 413, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn put(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<JsonReply<ScriptView>, ApiError> {
    let name = ScriptName::new(name)?;
    let bytes = read(body, MAX_SCRIPT).await?;
    let scripts = app.scripts.clone();
    let written = name.clone();
    let infos = app
        .change(admin.actor(), move |ledger| {
            write_in(ledger, &scripts, &written, &bytes)?;
            Ok(scripts.list()?)
        })
        .await?;
    app.engine.feed().publish(Change::Scripts);
    let info = infos.iter().find(|info| info.name == name);
    Ok(JsonReply(view(info.ok_or_else(|| missing(&name))?)))
}

/// Writes a script and writes it down. The file is there before the entry is: what comes
/// between the two leaves an entry out rather than telling of what was never done.
pub(in crate::web) fn write_in(
    ledger: &Ledger<'_>,
    scripts: &Scripts,
    name: &ScriptName,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let old = size_of(scripts, name)?;
    let action = match old {
        None => Action::Added,
        Some(_) => Action::Changed,
    };
    scripts.write(name, bytes)?;
    // The text itself is among the versions of the script.
    let version = scripts.newest_version(name)?.to_string();
    let deed = Deed::new(action, SubjectKind::Script, name.as_str())
        .with("bytes", old, Some(bytes.len().to_string()))
        .with("version", None, Some(version));
    ledger.note(&deed)
}

/// The size of a script; none where there is no such file.
fn size_of(scripts: &Scripts, name: &ScriptName) -> std::io::Result<Option<String>> {
    let infos = scripts.list()?;
    let found = infos.iter().find(|info| info.name == *name);
    Ok(found.map(|info| info.size.to_string()))
}

/// Removes a script.
#[utoipa::path(delete, path = "/scripts/{name}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = ScriptName::new(name)?;
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    let removed = app.change(admin.actor(), move |ledger| {
        let Some(old) = size_of(&scripts, &wanted)? else {
            return Ok(false);
        };
        let deed = Deed::new(Action::Removed, SubjectKind::Script, wanted.as_str());
        ledger.note(&deed.with("bytes", Some(old), None))?;
        Ok(scripts.remove(&wanted)?)
    });
    if !removed.await? {
        return Err(missing(&name));
    }
    app.engine.feed().publish(Change::Scripts);
    Ok(StatusCode::NO_CONTENT)
}

/// The task whose runs are scripts that were tried out.
pub(in crate::web) const SCRATCH: &str = "scratch";

/// Runs a script once, as a run of the task `scratch`. Refused with 409 while another one runs.
#[utoipa::path(post, path = "/scripts/{name}/run", request_body = ScriptRunBody,
    responses((status = 202, body = Triggered), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn run(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(body): Json<ScriptRunBody>,
) -> Result<(StatusCode, JsonReply<Triggered>), ApiError> {
    let name = ScriptName::new(name)?;
    let (scripts, wanted) = (app.scripts.clone(), name.clone());
    let bytes = blocking(move || scripts.read(&wanted)).await?;
    let bytes = bytes.ok_or_else(|| missing(&name))?;
    let task = scratch(&name, &bytes, &body.args)?;
    let now = app.clock.now();
    let id = app.store.write(move |tx| own_task(tx, &task, now)).await?;
    app.engine.tasks_changed().await;
    let run = app.engine.trigger(id).await?;
    let deed = Deed::new(Action::Started, SubjectKind::Run, run.0.to_string()).with(
        "script",
        None,
        Some(name.to_string()),
    );
    app.note(admin.actor(), deed).await?;
    Ok((StatusCode::ACCEPTED, JsonReply(Triggered { run: run.0 })))
}

/// The task that runs a script once.
fn scratch(name: &ScriptName, bytes: &[u8], args: &Args) -> Result<Task, ApiError> {
    let interpreter = Interpreter::of(name, bytes).ok_or_else(|| {
        FieldError::new(
            "script",
            "nothing says what runs it: begin it with #! and an interpreter, such as #!/usr/bin/env python3",
        )
    })?;
    let mut words = interpreter.args;
    words.push(name.to_string());
    words.extend(args.split()?);
    let step = Step {
        name: StepName::new(name.as_str())?,
        command: Command::new(interpreter.program, words)?,
        rule: RunRule::OnSuccess,
        timeout_s: timeout(3600)?,
        retry: Retry::default(),
        env: BTreeMap::new(),
        working_dir: None,
    };
    Ok(Task::try_from(TaskParts {
        name: TaskName::new(SCRATCH)?,
        cron: None,
        zone: None,
        pool: PoolName::default_pool(),
        auto: false,
        on_missed: MissedPolicy::default(),
        retention: Retention::new(20, 30)?,
        steps: vec![step],
    })?)
}

/// Writes a task that the runner uses itself, unless somebody has made it a task of their own.
pub(in crate::web) fn own_task(
    tx: &Transaction<'_>,
    task: &Task,
    now: DateTime<Utc>,
) -> Result<TaskId, StoreError> {
    let old = match store::tasks::by_name(tx, task.name.as_str()) {
        Ok(old) => old,
        Err(StoreError::NotFound { .. }) => return store::tasks::insert(tx, task, now),
        Err(other) => return Err(other),
    };
    if old.task.auto || old.task.cron.is_some() {
        return Err(StoreError::InUse(format!(
            "the task {:?} has a schedule of its own; give it another name, because the runner needs this one",
            task.name.as_str()
        )));
    }
    store::tasks::update(tx, old.id, task, now)?;
    Ok(old.id)
}
