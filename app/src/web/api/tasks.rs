//! Tasks.

use super::settings::usual_retention;
use crate::blocking;
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::names::TaskName;
use crate::domain::task::{Task, TaskId};
use crate::store::{self, RunQuery, StoreError, StoredTask};
use crate::view::{PausedTasks, RunView, TaskBody, TaskList, TaskPatch, TaskView, Triggered};
use crate::web::App;
use crate::web::caller::{Admin, Operator, Watcher};
use crate::web::change::Ledger;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use rusqlite::Transaction;
use std::sync::Arc;

type Shown = (StoredTask, Option<RunView>);

/// A task and its newest run.
fn with_last_run(tx: &Transaction<'_>, task: StoredTask) -> Result<Shown, StoreError> {
    let query = RunQuery {
        task: Some(task.id),
        limit: 1,
        ..RunQuery::default()
    };
    let last = store::runs::list(tx, &query)?.first().map(RunView::from);
    Ok((task, last))
}

async fn view(app: &App, shown: Vec<Shown>) -> Vec<TaskView> {
    let next = app
        .engine
        .next_fires(shown.iter().map(|(task, _)| task.id).collect())
        .await;
    shown
        .into_iter()
        .map(|(task, last)| TaskView::new(&task.task, next.get(&task.id).copied(), last))
        .collect()
}

async fn view_one(app: &App, id: TaskId) -> Result<TaskView, ApiError> {
    let shown = app
        .store
        .read(move |tx| with_last_run(tx, store::tasks::get(tx, id)?))
        .await?;
    let mut views = view(app, vec![shown]).await;
    views
        .pop()
        .ok_or_else(|| ApiError::NotFound("such task".to_owned()))
}

async fn find(app: &App, name: String) -> Result<TaskId, ApiError> {
    let task = app
        .store
        .read(move |tx| store::tasks::by_name(tx, &name))
        .await?;
    Ok(task.id)
}

/// All tasks by name, each with its next fire time and its newest run.
#[utoipa::path(get, path = "/tasks", responses((status = 200, body = TaskList)))]
pub(in crate::web) async fn list(
    watcher: Watcher,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<TaskList>, ApiError> {
    let shown = app
        .store
        .read(move |tx| {
            store::tasks::list(tx)?
                .into_iter()
                .filter(|stored| watcher.sees(stored.task.name.as_str()))
                .map(|task| with_last_run(tx, task))
                .collect()
        })
        .await?;
    Ok(JsonReply(TaskList {
        tasks: view(&app, shown).await,
    }))
}

/// Adds a task.
#[utoipa::path(post, path = "/tasks", request_body = TaskBody,
    responses((status = 201, body = TaskView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn create(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(mut body): Json<TaskBody>,
) -> Result<(StatusCode, JsonReply<TaskView>), ApiError> {
    body.keep_as_usual(usual_retention(&app).await?);
    let task = Task::try_from(&body)?;
    let id = app
        .change(admin.actor(), move |ledger| {
            let id = store::tasks::insert(ledger, &task, ledger.now)?;
            let after = TaskBody::from(&task);
            ledger.compare(SubjectKind::Task, &after.name, None, Some(&after))?;
            Ok(id)
        })
        .await?;
    app.engine.tasks_changed().await;
    Ok((StatusCode::CREATED, JsonReply(view_one(&app, id).await?)))
}

/// One task.
#[utoipa::path(get, path = "/tasks/{name}", responses((status = 200, body = TaskView), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn show(
    watcher: Watcher,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<JsonReply<TaskView>, ApiError> {
    watcher.look(&name)?;
    let id = find(&app, name).await?;
    Ok(JsonReply(view_one(&app, id).await?))
}

/// Replaces the definition of a task; its runs stay.
#[utoipa::path(put, path = "/tasks/{name}", request_body = TaskBody,
    responses((status = 200, body = TaskView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn replace(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(mut body): Json<TaskBody>,
) -> Result<JsonReply<TaskView>, ApiError> {
    body.keep_as_usual(usual_retention(&app).await?);
    let task = Task::try_from(&body)?;
    let id = app
        .change(admin.actor(), move |ledger| {
            let old = store::tasks::by_name(ledger, &name)?;
            store::tasks::update(ledger, old.id, &task, ledger.now)?;
            let (before, after) = (TaskBody::from(&old.task), TaskBody::from(&task));
            ledger.compare(SubjectKind::Task, &after.name, Some(&before), Some(&after))?;
            Ok(old.id)
        })
        .await?;
    app.engine.tasks_changed().await;
    Ok(JsonReply(view_one(&app, id).await?))
}

/// Switches scheduling of a task on or off.
#[utoipa::path(patch, path = "/tasks/{name}", request_body = TaskPatch,
    responses((status = 200, body = TaskView), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn patch(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(body): Json<TaskPatch>,
) -> Result<JsonReply<TaskView>, ApiError> {
    let id = app
        .change(admin.actor(), move |ledger| {
            let old = store::tasks::by_name(ledger, &name)?;
            if let Some(auto) = body.auto {
                store::tasks::set_auto(ledger, old.id, auto, ledger.now)?;
                let before = TaskPatch {
                    auto: Some(old.task.auto),
                };
                ledger.compare(SubjectKind::Task, &name, Some(&before), Some(&body))?;
            }
            Ok(old.id)
        })
        .await?;
    app.engine.tasks_changed().await;
    Ok(JsonReply(view_one(&app, id).await?))
}

/// Switches Auto off for all tasks and remembers which had it on. What runs goes on.
#[utoipa::path(post, path = "/schedules/pause", responses((status = 200, body = PausedTasks)))]
pub(in crate::web) async fn pause_all(
    admin: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<PausedTasks>, ApiError> {
    let tasks = app
        .change(admin.actor(), |ledger| {
            let before = autos(ledger)?;
            let tasks = store::tasks::pause_all(ledger, ledger.now)?;
            note_autos(ledger, &before)?;
            Ok(tasks)
        })
        .await?;
    app.engine.tasks_changed().await;
    Ok(JsonReply(PausedTasks { tasks }))
}

/// Switches Auto on again for the tasks that were paused. Nothing is caught up.
#[utoipa::path(post, path = "/schedules/resume", responses((status = 200, body = PausedTasks)))]
pub(in crate::web) async fn resume_all(
    admin: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<PausedTasks>, ApiError> {
    let tasks = app
        .change(admin.actor(), |ledger| {
            let before = autos(ledger)?;
            let tasks = store::tasks::resume_all(ledger, ledger.now)?;
            note_autos(ledger, &before)?;
            Ok(tasks)
        })
        .await?;
    app.engine.tasks_changed().await;
    Ok(JsonReply(PausedTasks { tasks }))
}

/// Removes a task with its runs and logs.
#[utoipa::path(delete, path = "/tasks/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let runs = app
        .change(admin.actor(), move |ledger| {
            let old = store::tasks::by_name(ledger, &name)?;
            let before = TaskBody::from(&old.task);
            ledger.compare(SubjectKind::Task, &name, Some(&before), None)?;
            store::tasks::delete(ledger, old.id)
        })
        .await?;
    app.engine.tasks_changed().await;
    // The task is gone; a log that stays behind is found at the next start.
    let logs = app.logs.clone();
    let _ = blocking::run(move || logs.remove_runs(runs)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Which tasks have Auto on.
fn autos(tx: &Transaction<'_>) -> Result<Vec<(TaskName, bool)>, StoreError> {
    let tasks = store::tasks::list(tx)?.into_iter();
    Ok(tasks.map(|t| (t.task.name, t.task.auto)).collect())
}

fn note_autos(ledger: &Ledger<'_>, before: &[(TaskName, bool)]) -> Result<(), StoreError> {
    for ((name, old), (_, new)) in before.iter().zip(autos(ledger)?) {
        let patch = |auto| TaskPatch { auto: Some(auto) };
        let (old, new) = (patch(*old), patch(new));
        ledger.compare(SubjectKind::Task, name.as_str(), Some(&old), Some(&new))?;
    }
    Ok(())
}

/// Runs a task now. Refused with 409 while it runs.
#[utoipa::path(post, path = "/tasks/{name}/run",
    responses((status = 202, body = Triggered), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(in crate::web) async fn run(
    operator: Operator,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<(StatusCode, JsonReply<Triggered>), ApiError> {
    operator.act_on(&name)?;
    let id = find(&app, name.clone()).await?;
    let run = app.engine.trigger(id).await?;
    let deed = Deed::new(Action::Started, SubjectKind::Run, run.0.to_string());
    let deed = deed.with("task", None, Some(name));
    app.note(operator.actor(), deed).await?;
    Ok((StatusCode::ACCEPTED, JsonReply(Triggered { run: run.0 })))
}

/// Reads a task's name from a query.
pub(in crate::web) async fn resolve(
    app: &App,
    name: Option<String>,
) -> Result<Option<TaskId>, ApiError> {
    match name {
        None => Ok(None),
        Some(name) => {
            let name = TaskName::new(name)?.to_string();
            find(app, name).await.map(Some)
        }
    }
}
