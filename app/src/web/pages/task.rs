//! The page of one task: its grid, live.

use super::durations::{self, Durations};
use super::frame::{Frame, Section};
use super::grid::{Grid, Mark, run_mark};
use super::{Moment, PageError, PageViewer, html, lasted};
use crate::domain::lifecycle::{Run, RunState};
use crate::store::{self, StoreError, StoredTask};
use crate::web::App;
use crate::web::extract::Path;
use crate::zones::Zone;
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
    next: Option<Moment>,
    /// The end of its pause, if it has one.
    resumes: Option<Moment>,
    grid: Grid,
    durations: Option<Durations>,
    last: Option<LastRun>,
    /// The unfinished run, and true if it is being cancelled.
    running: Option<(i64, bool)>,
}

struct LastRun {
    id: i64,
    mark: Mark,
    when: Moment,
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
    let (stored, runs, ends) = app
        .store
        .read(move |tx| {
            let task = store::tasks::by_name(tx, &name)?;
            let runs = newest(tx, &task, COLUMNS)?;
            Ok((task, runs, store::pauses::pause_ends(tx)?))
        })
        .await?;
    let (now, zone) = (app.clock.now(), app.zone.get());
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
        schedule: schedule(&stored, zone),
        cron: stored
            .task
            .cron
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        auto: stored.task.auto,
        next: next
            .get(&stored.id)
            .map(|time| Moment::next_of(&stored, *time, now, zone)),
        resumes: ends
            .get(&stored.id)
            .map(|time| Moment::next(*time, now, zone)),
        grid: Grid::new(&steps, &runs, zone),
        durations: Durations::new(&runs, zone),
        last: runs
            .iter()
            .find(|run| run.state.is_final() && run.state != RunState::Missed)
            .map(|run| LastRun {
                id: run.id.0,
                mark: run_mark(run.state),
                when: Moment::past(run.finished_at.unwrap_or(run.created_at), now, zone),
                took: run
                    .started_at
                    .zip(run.finished_at)
                    .map(|(from, to)| lasted(from, to)),
            }),
        running: runs
            .iter()
            .find(|run| !run.state.is_final())
            .map(|run| (run.id.0, run.cancel.is_some())),
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

/// The schedule of a task in words, with its zone where that is not the page's.
pub(super) fn schedule(stored: &StoredTask, zone: Zone) -> String {
    let task = &stored.task;
    let Some(cron) = &task.cron else {
        return "on demand".to_owned();
    };
    match task.zone.filter(|own| *own != zone) {
        Some(own) => format!("{} ({})", cron.describe(), own.name()),
        None => cron.describe(),
    }
}
