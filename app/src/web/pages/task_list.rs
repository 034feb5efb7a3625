//! The list of tasks: search, Auto, Run, and pause of everything.

use super::edit::to;
use super::frame::{Frame, Section};
use super::grid::{Mark, run_mark, step_mark};
use super::relative_time::morning_after;
use super::task::{newest, schedule};
use super::{Moment, PageAdmin, PageError, PageViewer, html};
use crate::domain::cron::CronExpr;
use crate::domain::lifecycle::Run;
use crate::domain::task::Task;
use crate::store::{self, StoreError, StoredTask};
use crate::view::{TaskPatch, rfc3339};
use crate::web::App;
use crate::web::etag::Expected;
use crate::web::extract::{Params, Path};
use crate::web::operations::{runs, tasks};
use crate::web::pages::form::Fields;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::sync::Arc;

/// Runs shown beside a task.
const SHOWN: u32 = 10;

/// A choice of tasks.
#[derive(Debug, Deserialize)]
pub(super) struct TaskListParams {
    /// Words that a task must have.
    q: Option<String>,
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct ListPage {
    frame: Frame,
    q: String,
    body: ListFragment,
}

#[derive(Template)]
#[template(path = "tasks_list.html")]
struct ListFragment {
    admin: bool,
    filtered: bool,
    paused: u32,
    /// The time at which the last pause that has an end is over.
    resumes: Option<Moment>,
    any_auto: bool,
    /// Names of damaged tasks, and the problem of each.
    damaged: Vec<(String, String)>,
    rows: Vec<TaskRow>,
}

struct TaskRow {
    name: String,
    pool: String,
    schedule: String,
    scheduled: bool,
    auto: bool,
    next: Option<Moment>,
    resumes: Option<Moment>,
    running: bool,
    runs: Vec<MiniRun>,
}

/// A column of the small grid.
struct MiniRun {
    href: String,
    label: String,
    mark: Mark,
    steps: Vec<&'static str>,
}

/// `/tasks`: the page.
pub(super) async fn page(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Params(params): Params<TaskListParams>,
) -> Result<Response, PageError> {
    let q = params.q.unwrap_or_default();
    let body = list(&app, viewer.admin, &q).await?;
    let frame = Frame::new(&viewer, Section::Tasks);
    Ok(html(&ListPage { frame, q, body }))
}

/// The live part of the page.
pub(super) async fn fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Params(params): Params<TaskListParams>,
) -> Result<Response, PageError> {
    let q = params.q.unwrap_or_default();
    Ok(html(&list(&app, viewer.admin, &q).await?))
}

async fn list(app: &App, admin: bool, q: &str) -> Result<ListFragment, PageError> {
    let (now, zone) = (app.clock.now(), app.zone.get());
    let (found, damaged, (paused, ends)) = app
        .store
        .read(|tx| {
            let with_runs = |task: StoredTask| Ok((newest(tx, &task, SHOWN)?, task));
            let tasks = store::tasks::list(tx)?.into_iter().map(with_runs);
            let tasks = tasks.collect::<Result<Vec<_>, StoreError>>()?;
            let damaged = store::tasks::damaged(tx)?;
            let paused = (store::pauses::paused(tx)?, store::pauses::pause_ends(tx)?);
            Ok((tasks, damaged, paused))
        })
        .await?;
    let next = app
        .engine
        .next_fires(found.iter().map(|(_, task)| task.id).collect())
        .await;
    let any_auto = found
        .iter()
        .any(|(_, t)| t.task.auto && t.task.cron.is_some());
    let row = |(runs, stored): &(Vec<Run>, StoredTask)| TaskRow {
        name: stored.task.name.to_string(),
        pool: stored.task.pool.to_string(),
        schedule: schedule(stored, zone),
        scheduled: stored.task.cron.is_some(),
        auto: stored.task.auto,
        next: next
            .get(&stored.id)
            .map(|time| Moment::next_of(stored, *time, now, zone)),
        resumes: ends
            .get(&stored.id)
            .map(|time| Moment::next(*time, now, zone)),
        running: runs.iter().any(|run| !run.state.is_final()),
        runs: runs.iter().rev().map(mini).collect(),
    };
    let shown = found.iter().filter(|(_, stored)| has_words(stored, q));
    Ok(ListFragment {
        admin,
        filtered: !q.trim().is_empty(),
        paused,
        resumes: ends
            .values()
            .max()
            .map(|time| Moment::next(*time, now, zone)),
        any_auto,
        damaged: damaged.into_iter().map(|t| (t.name, t.why)).collect(),
        rows: shown.map(row).collect(),
    })
}

fn mini(run: &Run) -> MiniRun {
    let mark = run_mark(run.state);
    let steps: Vec<String> = run
        .steps
        .iter()
        .map(|step| format!("{} {}", step.step.name, step_mark(step).word))
        .collect();
    MiniRun {
        href: format!("/runs/{}", run.id.0),
        label: format!("run {}: {} ({})", run.id.0, mark.word, steps.join(", ")),
        steps: run.steps.iter().map(|s| step_mark(s).class).collect(),
        mark,
    }
}

fn in_words(task: &Task) -> String {
    task.cron
        .as_ref()
        .map(CronExpr::describe)
        .unwrap_or_default()
}

/// Reports if the texts of the task have all words.
pub(super) fn has_words(stored: &StoredTask, q: &str) -> bool {
    let task = &stored.task;
    let mut text = format!("{} {} {}", task.name, task.pool, in_words(task));
    for step in task.steps() {
        let args = step.command.args().join(" ");
        text.push_str(&format!(" {} {} {args}", step.name, step.command.program()));
    }
    let text = text.to_lowercase();
    q.to_lowercase()
        .split_whitespace()
        .all(|word| text.contains(word))
}

/// Switches the schedule of a task on or off, or off until a time.
pub(super) async fn set_auto(
    admin: PageAdmin,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let until = pause_end(&admin, &fields);
    let patch = TaskPatch {
        auto: Some(fields.text("auto") == "on" && until.is_none()),
        paused_until: until.map(rfc3339),
    };
    tasks::patch(&admin, name, patch, Expected::default()).await?;
    Ok(to("/tasks"))
}

/// Starts a run of a task now and shows it.
pub(super) async fn run(admin: PageAdmin, Path(name): Path<String>) -> Result<Response, PageError> {
    let run = runs::start(&admin.operator(), name).await?;
    Ok(to(&format!("/runs/{}", run.0)))
}

/// The end of a pause that the pressed button names.
fn pause_end(app: &App, fields: &Fields) -> Option<DateTime<Utc>> {
    let (now, zone) = (app.clock.now(), app.zone.get());
    match fields.text("until").as_str() {
        "hour" => Some(now + TimeDelta::hours(1)),
        "tomorrow" => Some(morning_after(now, zone)),
        _ => None,
    }
}

/// Pauses all schedules.
pub(super) async fn pause_all(admin: PageAdmin, fields: Fields) -> Result<Response, PageError> {
    tasks::pause_all(&admin, pause_end(&admin, &fields)).await?;
    Ok(to("/tasks"))
}

/// Resumes the schedules that were paused.
pub(super) async fn resume_all(admin: PageAdmin) -> Result<Response, PageError> {
    tasks::resume_all(&admin).await?;
    Ok(to("/tasks"))
}
