//! The first page: how every task fares, what is wrong first.

use super::frame::{Frame, Section};
use super::grid::{Mark, run_mark};
use super::task::{newest, schedule};
use super::{PageError, PageViewer, html, shown};
use crate::domain::lifecycle::Run;
use crate::store::{self, StoreError, StoredTask};
use crate::web::App;
use crate::web::api;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Runs shown beside a task in the list.
const STRIP: u32 = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    body: OverviewFragment,
}

#[derive(Template)]
#[template(path = "overview_list.html")]
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
    /// Whether it ended badly the last time.
    wrong: bool,
}

/// `/`: the page.
pub(super) async fn page(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let (admin, rows) = (viewer.admin, rows(&app).await?);
    Ok(html(&OverviewPage {
        frame: Frame::new(viewer, Section::Overview),
        body: OverviewFragment { admin, rows },
    }))
}

/// What of it changes while it is open.
pub(super) async fn fragment(
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
                // Trying a script out says nothing of how the tasks fare.
                .filter(|stored| stored.task.name.as_str() != api::scripts::SCRATCH)
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
        wrong: runs
            .iter()
            .find(|run| run.state.is_final())
            .is_some_and(|run| run_mark(run.state).class == "red"),
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
    let mut rows: Vec<OverviewRow> = found.into_iter().map(row).collect();
    rows.sort_by_key(|row| !row.wrong);
    Ok(rows)
}
