//! Tasks.

use crate::domain::task::TaskId;
use crate::store::{self, StoreError, StoredTask, Tx};
use crate::view::{
    DamagedTaskView, PausedTasks, RunView, TaskBody, TaskList, TaskPatch, TaskView, Triggered,
};
use crate::web::App;
use crate::web::caller::{Admin, Operator, Watcher};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::operations::{runs, tasks};
use axum::http::StatusCode;

type TaskWithLastRun = (StoredTask, Option<RunView>);

/// A task and its run that goes on, or else its newest one.
fn with_last_run(tx: &Tx<'_>, task: StoredTask) -> Result<TaskWithLastRun, StoreError> {
    let last = store::runs::last(tx, task.id)?.as_ref().map(RunView::from);
    Ok((task, last))
}

async fn view(app: &App, shown: Vec<TaskWithLastRun>) -> Vec<TaskView> {
    let ids = shown.iter().map(|(task, _)| task.id).collect();
    let next = app.engine.next_fires(ids).await;
    shown
        .into_iter()
        .map(|(task, last)| TaskView::new(&task.task, next.get(&task.id).copied(), last))
        .collect()
}

async fn view_one(app: &App, id: TaskId) -> Result<Json<TaskView>, ApiError> {
    let read = app
        .store
        .read(move |tx| with_last_run(tx, store::tasks::get(tx, id)?));
    let one = view(app, vec![read.await?]).await.pop();
    one.map(Json)
        .ok_or_else(|| ApiError::NotFound("such task".to_owned()))
}

/// All tasks by name, each with its next fire time and its newest run.
#[utoipa::path(get, path = "/tasks", responses((status = 200, body = TaskList)))]
pub(super) async fn list(watcher: Watcher) -> Result<Json<TaskList>, ApiError> {
    let may_see = watcher.clone();
    let (shown, damaged) = watcher
        .store
        .read(move |tx| {
            let tasks = store::tasks::list(tx)?.into_iter();
            let tasks = tasks.filter(|stored| may_see.sees(stored.id));
            let shown = tasks.map(|task| with_last_run(tx, task));
            let mut damaged = store::tasks::damaged(tx)?;
            damaged.retain(|task| may_see.sees(task.id));
            Ok((
                shown.collect::<Result<Vec<TaskWithLastRun>, StoreError>>()?,
                damaged,
            ))
        })
        .await?;
    let damaged = damaged.into_iter().map(|task| DamagedTaskView {
        name: task.name,
        problem: task.why,
        definition: task.definition,
    });
    Ok(Json(TaskList {
        tasks: view(&watcher, shown).await,
        damaged: damaged.collect(),
    }))
}

/// Adds a task.
#[utoipa::path(post, path = "/tasks", request_body = TaskBody,
    responses((status = 201, body = TaskView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn create(
    admin: Admin,
    Json(body): Json<TaskBody>,
) -> Result<(StatusCode, Json<TaskView>), ApiError> {
    let id = tasks::create(&admin, body).await?;
    Ok((StatusCode::CREATED, view_one(&admin, id).await?))
}

/// One task.
#[utoipa::path(get, path = "/tasks/{name}", responses((status = 200, body = TaskView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(
    watcher: Watcher,
    Path(name): Path<String>,
) -> Result<Json<TaskView>, ApiError> {
    let task = watcher.task(&name).await?;
    view_one(&watcher, task.id).await
}

/// Replaces the definition of a task; its runs stay.
#[utoipa::path(put, path = "/tasks/{name}", request_body = TaskBody,
    responses((status = 200, body = TaskView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn replace(
    admin: Admin,
    Path(name): Path<String>,
    Json(body): Json<TaskBody>,
) -> Result<Json<TaskView>, ApiError> {
    view_one(&admin, tasks::replace(&admin, name, body).await?).await
}

/// Switches scheduling of a task on or off.
#[utoipa::path(patch, path = "/tasks/{name}", request_body = TaskPatch,
    responses((status = 200, body = TaskView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn patch(
    admin: Admin,
    Path(name): Path<String>,
    Json(body): Json<TaskPatch>,
) -> Result<Json<TaskView>, ApiError> {
    view_one(&admin, tasks::patch(&admin, name, body).await?).await
}

/// Switches Auto off for all tasks and remembers which had it on. What runs goes on.
#[utoipa::path(post, path = "/schedules/pause", responses((status = 200, body = PausedTasks)))]
pub(super) async fn pause_all(admin: Admin) -> Result<Json<PausedTasks>, ApiError> {
    let tasks = tasks::pause_all(&admin).await?;
    Ok(Json(PausedTasks { tasks }))
}

/// Switches Auto on again for the tasks that were paused. Nothing is caught up.
#[utoipa::path(post, path = "/schedules/resume", responses((status = 200, body = PausedTasks)))]
pub(super) async fn resume_all(admin: Admin) -> Result<Json<PausedTasks>, ApiError> {
    let tasks = tasks::resume_all(&admin).await?;
    Ok(Json(PausedTasks { tasks }))
}

/// Removes a task with its runs and logs.
#[utoipa::path(delete, path = "/tasks/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(super) async fn delete(admin: Admin, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    tasks::delete(&admin, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs a task now. Refused with 409 while it runs.
#[utoipa::path(post, path = "/tasks/{name}/run",
    responses((status = 202, body = Triggered), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(super) async fn run(
    operator: Operator,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let run = runs::start(&operator, name).await?.0;
    Ok((StatusCode::ACCEPTED, Json(Triggered { run })))
}
