//! The list of tasks and the page of one task.

use super::grid::{Grid, Mark, run_mark};
use super::{PageError, PageViewer, html, lasted, shown};
use crate::domain::lifecycle::Run;
use crate::store::{self, RunQuery, StoreError, StoredTask};
use crate::web::App;
use crate::web::extract::Path;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Columns of a task's grid.
const COLUMNS: u32 = 30;
/// Runs shown beside a task in the list.
const STRIP: u32 = 10;

#[derive(Template)]
#[template(path = "tasks.html")]
struct OverviewPage {
    user: String,
    admin: bool,
    rows: Vec<OverviewRow>,
}

#[derive(Template)]
#[template(path = "tasks_list.html")]
struct OverviewFragment {
    admin: bool,
    rows: Vec<OverviewRow>,
}

struct OverviewRow {
    name: String,
    pool: String,
    schedule: String,
    auto: bool,
    next: Option<String>,
    strip: Vec<(Mark, String, String)>,
    running: bool,
}

/// `/`: all tasks.
pub(super) async fn overview(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let rows = rows(&app).await?;
    Ok(html(&OverviewPage {
        user: viewer.name,
        admin: viewer.admin,
        rows,
    }))
}

/// The same list alone, to replace it on an open page.
pub(super) async fn overview_fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let rows = rows(&app).await?;
    Ok(html(&OverviewFragment {
        admin: viewer.admin,
        rows,
    }))
}

async fn rows(app: &App) -> Result<Vec<OverviewRow>, PageError> {
    let found = app
        .store
        .read(|tx| {
            store::tasks::list(tx)?
                .into_iter()
                .map(|task| {
                    let runs = newest(tx, &task, STRIP)?;
                    Ok((task, runs))
                })
                .collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let next = app
        .engine
        .next_fires(found.iter().map(|(task, _)| task.id).collect())
        .await;
    let row = |(stored, runs): (StoredTask, Vec<Run>)| OverviewRow {
        next: next.get(&stored.id).map(|time| shown(*time, app.zone)),
        name: stored.task.name.to_string(),
        pool: stored.task.pool.to_string(),
        schedule: schedule(&stored),
        auto: stored.task.auto,
        running: runs.first().is_some_and(|run| !run.state.is_final()),
        strip: runs
            .iter()
            .rev()
            .map(|run| {
                let mark = run_mark(run.state);
                let label = format!("run {}: {}", run.id.0, mark.word);
                (mark, format!("/runs/{}", run.id.0), label)
            })
            .collect(),
    };
    Ok(found.into_iter().map(row).collect())
}

fn newest(
    tx: &rusqlite::Transaction<'_>,
    task: &StoredTask,
    limit: u32,
) -> Result<Vec<Run>, StoreError> {
    store::runs::list(
        tx,
        &RunQuery {
            task: Some(task.id),
            before: None,
            limit,
        },
    )
}

fn schedule(stored: &StoredTask) -> String {
    stored.task.cron.as_ref().map_or_else(
        || "on demand".to_owned(),
        crate::domain::cron::CronExpr::describe,
    )
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    user: String,
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
        user: viewer.name,
        body,
    }))
}

/// What of that page changes while it is open.
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
        next: next.get(&stored.id).map(|time| shown(*time, app.zone)),
        grid: Grid::new(&steps, &runs, app.zone),
        last: runs
            .iter()
            .find(|run| run.state.is_final())
            .map(|run| LastRun {
                id: run.id.0,
                mark: run_mark(run.state),
                when: shown(run.finished_at.unwrap_or(run.created_at), app.zone),
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
