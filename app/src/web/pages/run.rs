//! The page of one run: its steps and the log of one of them, live.

use super::frame::{Frame, Section};
use super::grid::{Mark, run_mark, step_mark};
use super::{PageError, PageViewer, html, lasted, shown};
use crate::domain::lifecycle::{Run, RunId, StepState};
use crate::store;
use crate::web::App;
use crate::web::extract::{Params, Path};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use std::sync::Arc;

/// Which log to show.
#[derive(Debug, Deserialize)]
pub(super) struct RunParams {
    /// The step, from 1 as people count.
    step: Option<usize>,
    /// The attempt, from 1.
    attempt: Option<u32>,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    body: RunFragment,
    log: Option<LogView>,
}

#[derive(Template)]
#[template(path = "run_steps.html")]
struct RunFragment {
    admin: bool,
    id: i64,
    task: String,
    mark: Mark,
    trigger: &'static str,
    due: Option<String>,
    created: String,
    note: Option<String>,
    finished: bool,
    steps: Vec<StepRow>,
}

struct StepRow {
    number: usize,
    name: String,
    command: String,
    rule: &'static str,
    mark: Mark,
    attempt: u32,
    started: Option<String>,
    took: Option<String>,
    reason: Option<String>,
    shown: bool,
}

struct LogView {
    step: String,
    stream: String,
    download: String,
    attempts: Vec<(u32, String, bool)>,
}

/// `/runs/{id}`: the page.
pub(super) async fn run(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
    Params(params): Params<RunParams>,
) -> Result<Response, PageError> {
    let run = load(&app, id).await?;
    let position = params
        .step
        .and_then(|number| number.checked_sub(1))
        .filter(|position| *position < run.steps.len())
        .or_else(|| interesting(&run));
    Ok(html(&RunPage {
        log: position.map(|position| log_view(&run, position, params.attempt)),
        body: fragment(&run, position, viewer.admin, app.clock.now(), app.zone),
        frame: Frame::new(viewer, Section::Tasks),
    }))
}

/// What of that page changes while it is open.
pub(super) async fn run_fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
    Params(params): Params<RunParams>,
) -> Result<Response, PageError> {
    let run = load(&app, id).await?;
    let position = params.step.and_then(|number| number.checked_sub(1));
    Ok(html(&fragment(
        &run,
        position,
        viewer.admin,
        app.clock.now(),
        app.zone,
    )))
}

async fn load(app: &App, id: i64) -> Result<Run, PageError> {
    Ok(app
        .store
        .read(move |tx| store::runs::get(tx, RunId(id)))
        .await?)
}

/// The step somebody who opens a run wants to see: what failed, what runs, what ran last.
fn interesting(run: &Run) -> Option<usize> {
    let find = |wanted: &dyn Fn(StepState) -> bool| run.steps.iter().position(|s| wanted(s.state));
    find(&StepState::is_bad)
        .or_else(|| find(&|s| s == StepState::Running))
        .or_else(|| run.steps.iter().rposition(|s| s.attempt > 0))
        .or(if run.steps.is_empty() { None } else { Some(0) })
}

fn fragment(
    run: &Run,
    selected: Option<usize>,
    admin: bool,
    now: DateTime<Utc>,
    zone: Tz,
) -> RunFragment {
    let steps = (0..)
        .zip(&run.steps)
        .map(|(position, step)| StepRow {
            number: position + 1,
            name: step.step.name.to_string(),
            command: command_line(step),
            rule: step.step.rule.as_str(),
            mark: step_mark(step.state),
            attempt: step.attempt,
            started: step
                .started_at
                .map(|time| time.with_timezone(&zone).format("%H:%M:%S").to_string()),
            took: step
                .started_at
                .map(|from| lasted(from, step.finished_at.unwrap_or(now))),
            reason: step.reason.clone(),
            shown: selected == Some(position),
        })
        .collect();
    RunFragment {
        admin,
        id: run.id.0,
        task: run.task_name.to_string(),
        mark: run_mark(run.state),
        trigger: match run.trigger {
            crate::domain::lifecycle::Trigger::Schedule => "by its schedule",
            crate::domain::lifecycle::Trigger::Manual => "by hand",
            crate::domain::lifecycle::Trigger::CatchUp => "to catch up with a missed fire time",
        },
        due: run.due.map(|time| shown(time, zone)),
        created: shown(run.created_at, zone),
        note: run.note.clone(),
        finished: run.state.is_final(),
        steps,
    }
}

fn command_line(step: &crate::domain::lifecycle::StepRun) -> String {
    let words = std::iter::once(step.step.command.program())
        .chain(step.step.command.args().iter().map(String::as_str));
    // Only for reading: a word that cannot be quoted is shown as it is.
    shlex::try_join(words.clone()).unwrap_or_else(|_| words.collect::<Vec<_>>().join(" "))
}

fn log_view(run: &Run, position: usize, attempt: Option<u32>) -> LogView {
    let (id, latest) = (run.id.0, run.steps[position].attempt.max(1));
    let attempt = attempt
        .filter(|a| (1..=latest).contains(a))
        .unwrap_or(latest);
    let base = format!("/api/v1/runs/{id}/steps/{position}/log");
    LogView {
        step: run.steps[position].step.name.to_string(),
        stream: format!("{base}/stream?attempt={attempt}"),
        download: format!("{base}?attempt={attempt}"),
        attempts: (1..=latest)
            .map(|n| {
                (
                    n,
                    format!("/runs/{id}?step={}&attempt={n}", position + 1),
                    n == attempt,
                )
            })
            .collect(),
    }
}
