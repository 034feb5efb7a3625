//! Tasks.

use crate::domain::task::TaskId;
use crate::store::{self, StoreError, StoredTask, Tx};
use crate::view::{
    DamagedTaskView, PauseBody, PausedTasks, RunView, TaskBody, TaskList, TaskPatch, TaskView,
    Triggered,
};
use crate::web::App;
use crate::web::caller::{Admin, Operator, Watcher};
use crate::web::error::ApiError;
use crate::web::etag::{self, Expected, Tagged};
use crate::web::extract::{Json, OptionalJson, Path};
use crate::web::operations::{runs, tasks};
use axum::http::{StatusCode, header};

type TaskWithLastRun = (StoredTask, Option<RunView>);

/// A task and its run that goes on, or else its newest one.
fn with_last_run(tx: &Tx<'_>, task: StoredTask) -> Result<TaskWithLastRun, StoreError> {
    let last = store::runs::last(tx, task.id)?.as_ref().map(RunView::from);
    Ok((task, last))
}

async fn view(app: &App, shown: Vec<TaskWithLastRun>) -> Result<Vec<TaskView>, ApiError> {
    let ids = shown.iter().map(|(task, _)| task.id).collect();
    let next = app.engine.next_fires(ids).await;
    let ends = app.store.read(store::pauses::pause_ends).await?;
    let view = |(task, last): TaskWithLastRun| {
        let (next, end) = (next.get(&task.id), ends.get(&task.id));
        TaskView::new(&task.task, next.copied(), end.copied(), last)
    };
    Ok(shown.into_iter().map(view).collect())
}

async fn view_one(app: &App, id: TaskId) -> Result<Tagged<TaskView>, ApiError> {
    let read = app
        .store
        .read(move |tx| with_last_run(tx, store::tasks::get(tx, id)?));
    let one = view(app, vec![read.await?]).await?.pop();
    let one = one.ok_or_else(|| ApiError::NotFound("such task".to_owned()))?;
    Ok(([(header::ETAG, etag::of_task(&one.task))], Json(one)))
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
        tasks: view(&watcher, shown).await?,
        damaged: damaged.collect(),
    }))
}

/// Adds a task.
#[utoipa::path(post, path = "/tasks", request_body = TaskBody,
    responses((status = 201, body = TaskView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn create(
    admin: Admin,
    Json(body): Json<TaskBody>,
) -> Result<(StatusCode, Tagged<TaskView>), ApiError> {
    let id = tasks::create(&admin, body).await?;
    Ok((StatusCode::CREATED, view_one(&admin, id).await?))
}

/// One task. The header `ETag` names the version of its definition.
#[utoipa::path(get, path = "/tasks/{name}", responses((status = 200, body = TaskView, headers(("ETag" = String, description = "the version of the definition"))), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(
    watcher: Watcher,
    Path(name): Path<String>,
) -> Result<Tagged<TaskView>, ApiError> {
    let task = watcher.task(&name).await?;
    view_one(&watcher, task.id).await
}

/// Replaces the definition of a task; its runs stay. With the header `If-Match` only that version is replaced.
#[utoipa::path(put, path = "/tasks/{name}", request_body = TaskBody, params(("If-Match" = Option<String>, Header, description = "the ETag of the version to change")),
    responses((status = 200, body = TaskView, headers(("ETag" = String, description = "the version of the definition"))), (status = 404, body = crate::view::Problem), (status = 412, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn replace(
    admin: Admin,
    Path(name): Path<String>,
    expected: Expected,
    Json(body): Json<TaskBody>,
) -> Result<Tagged<TaskView>, ApiError> {
    let id = tasks::replace(&admin, name, body, expected).await?;
    view_one(&admin, id).await
}

/// Switches scheduling of a task on or off, or off until a time.
#[utoipa::path(patch, path = "/tasks/{name}", request_body = TaskPatch, params(("If-Match" = Option<String>, Header, description = "the ETag of the version to change")),
    responses((status = 200, body = TaskView, headers(("ETag" = String, description = "the version of the definition"))), (status = 404, body = crate::view::Problem), (status = 412, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn patch(
    admin: Admin,
    Path(name): Path<String>,
    expected: Expected,
    Json(body): Json<TaskPatch>,
) -> Result<Tagged<TaskView>, ApiError> {
    let id = tasks::patch(&admin, name, body, expected).await?;
    view_one(&admin, id).await
}

/// Switches Auto off for all tasks and remembers which had it on, until a person resumes them or until the time in the
/// body. Running tasks continue.
#[utoipa::path(post, path = "/schedules/pause", request_body = Option<PauseBody>,
    responses((status = 200, body = PausedTasks), (status = 422, body = crate::view::Problem)))]
pub(super) async fn pause_all(
    admin: Admin,
    OptionalJson(body): OptionalJson<PauseBody>,
) -> Result<Json<PausedTasks>, ApiError> {
    let until = tasks::end_of_pause(body.until.as_deref(), admin.clock.now())?;
    let tasks = tasks::pause_all(&admin, until).await?;
    Ok(Json(PausedTasks { tasks }))
}

/// Switches Auto on again for the tasks that were paused. Nothing is caught up.
#[utoipa::path(post, path = "/schedules/resume", responses((status = 200, body = PausedTasks)))]
pub(super) async fn resume_all(admin: Admin) -> Result<Json<PausedTasks>, ApiError> {
    let tasks = tasks::resume_all(&admin).await?;
    Ok(Json(PausedTasks { tasks }))
}

/// Removes a task with its runs and logs. With the header `If-Match` only that version is removed.
#[utoipa::path(delete, path = "/tasks/{name}", params(("If-Match" = Option<String>, Header, description = "the ETag of the version to change")),
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem), (status = 412, body = crate::view::Problem)))]
pub(super) async fn delete(
    admin: Admin,
    Path(name): Path<String>,
    expected: Expected,
) -> Result<StatusCode, ApiError> {
    tasks::delete(&admin, name, expected).await?;
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
