//! The page of one task: its grid, live.

use super::durations::{self, Durations};
use super::frame::{Frame, Section};
use super::grid::{Grid, Mark, run_mark};
use super::{PageError, PageViewer, html, lasted, shown};
use crate::domain::lifecycle::{Run, RunState};
use crate::store::{self, StoreError, StoredTask};
use crate::web::App;
use crate::web::extract::Path;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Columns of a task's grid.
const COLUMNS: u32 = 30;

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    body: TaskFragment,
}

#[derive(Template)]
#[template(path = "task_grid.html")]
struct TaskFragment {
    admin: bool,
    name: String,
    pool: String,
    schedule: String,
    cron: String,
    auto: bool,
    next: Option<String>,
    grid: Grid,
    durations: Option<Durations>,
    last: Option<LastRun>,
    running: Option<i64>,
}

struct LastRun {
    id: i64,
    mark: Mark,
    when: String,
    took: Option<String>,
}

/// `/tasks/{name}`: one task with its grid.
pub(super) async fn task(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let body = fragment(&app, name, viewer.admin).await?;
    Ok(html(&TaskPage {
        frame: Frame::new(&viewer, Section::Tasks),
        body,
    }))
}

/// The live part of the page.
pub(super) async fn task_fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    Ok(html(&fragment(&app, name, viewer.admin).await?))
}

async fn fragment(app: &App, name: String, admin: bool) -> Result<TaskFragment, PageError> {
    let (stored, runs) = app
        .store
        .read(move |tx| {
            let task = store::tasks::by_name(tx, &name)?;
            let runs = newest(tx, &task, COLUMNS)?;
            Ok((task, runs))
        })
        .await?;
    let next = app.engine.next_fires(vec![stored.id]).await;
    let steps: Vec<String> = stored
        .task
        .steps()
        .iter()
        .map(|step| step.name.to_string())
        .collect();
    Ok(TaskFragment {
        admin,
        name: stored.task.name.to_string(),
        pool: stored.task.pool.to_string(),
        schedule: schedule(&stored),
        cron: stored
            .task
            .cron
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        auto: stored.task.auto,
        next: next
            .get(&stored.id)
            .map(|time| shown(*time, app.zone.get())),
        grid: Grid::new(&steps, &runs, app.zone.get()),
        durations: Durations::new(&runs, app.zone.get()),
        last: runs
            .iter()
            .find(|run| run.state.is_final() && run.state != RunState::Missed)
            .map(|run| LastRun {
                id: run.id.0,
                mark: run_mark(run.state),
                when: shown(run.finished_at.unwrap_or(run.created_at), app.zone.get()),
                took: run
                    .started_at
                    .zip(run.finished_at)
                    .map(|(from, to)| lasted(from, to)),
            }),
        running: runs
            .iter()
            .find(|run| !run.state.is_final())
            .map(|run| run.id.0),
    })
}

/// The newest runs of a task.
pub(super) fn newest(
    tx: &crate::store::Tx<'_>,
    task: &StoredTask,
    limit: u32,
) -> Result<Vec<Run>, StoreError> {
    store::runs::newest(tx, task.id, limit)
}

/// The schedule of a task in words.
pub(super) fn schedule(stored: &StoredTask) -> String {
    stored.task.cron.as_ref().map_or_else(
        || "on demand".to_owned(),
        crate::domain::cron::CronExpr::describe,
    )
}
