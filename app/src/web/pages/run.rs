//! The page of one run: its steps on a time line and the log of one of them, live; and the acts that
//! can be done with a run: cancel, retry, clear.

use super::edit::to;
use super::failure::{Failure, PlaceInQueue};
use super::form::Fields;
use super::frame::{Frame, Section};
use super::gantt::{self, Stretch, stretches};
use super::grid::{Mark, run_mark, step_mark};
use super::{Moment, PageAdmin, PageError, PageViewer, html, lasted};
use crate::domain::lifecycle::{Cancel, Run, RunId, StepRun, StepState, Trigger};
use crate::domain::progress::Progress;
use crate::engine::{Feed, LogId};
use crate::store;
use crate::web::App;
use crate::web::extract::{Params, Path};
use crate::web::operations::runs;
use crate::zones::Zone;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use readable::quoted;
use serde::Deserialize;
use std::sync::Arc;

/// Most characters shown of a command; the task's editor has the whole.
const MOST_COMMAND: usize = 240;

/// The log to show.
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
    retry_of: Option<i64>,
    due: Option<Moment>,
    created: Moment,
    note: Option<String>,
    finished: bool,
    /// True after a cancel, and after one by force.
    cancelling: bool,
    forced: bool,
    /// True if a step went wrong.
    bad: bool,
    took: Option<String>,
    /// Start of an unfinished run, in milliseconds since 1970.
    since: Option<i64>,
    failure: Option<Failure>,
    waiting: Option<PlaceInQueue>,
    steps: Vec<StepRow>,
}

struct StepRow {
    number: usize,
    name: String,
    command: String,
    rule: &'static str,
    mark: Mark,
    attempt: u32,
    started: Option<Moment>,
    took: Option<String>,
    since: Option<i64>,
    running: bool,
    progress: Option<Progress>,
    stretch: Stretch,
    reason: Option<String>,
    warnings: Vec<String>,
    shown: bool,
}

struct LogView {
    step: String,
    /// Address of the log in the API.
    base: String,
    attempt: u32,
    /// The zone of times.
    zone: &'static str,
    /// Name of a file to save it as.
    file: String,
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
        log: position.map(|at| log_view(&run, at, params.attempt, app.zone.get())),
        body: fragment(&app, &run, position, viewer.admin).await?,
        frame: Frame::new(&viewer, Section::Runs),
    }))
}

/// The live part of the page.
pub(super) async fn run_fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
    Params(params): Params<RunParams>,
) -> Result<Response, PageError> {
    let run = load(&app, id).await?;
    let position = params.step.and_then(|number| number.checked_sub(1));
    Ok(html(&fragment(&app, &run, position, viewer.admin).await?))
}

async fn load(app: &App, id: i64) -> Result<Run, PageError> {
    Ok(app
        .store
        .read(move |tx| store::runs::get(tx, RunId(id)))
        .await?)
}

/// The step of interest in a run: the failed, the running or the last one.
fn interesting(run: &Run) -> Option<usize> {
    let find = |wanted: &dyn Fn(&StepRun) -> bool| run.steps.iter().position(wanted);
    find(&StepRun::is_bad)
        .or_else(|| find(&|s| s.state == StepState::Running))
        .or_else(|| find(&StepRun::failed_as_allowed))
        .or_else(|| run.steps.iter().rposition(|s| s.attempt > 0))
        .or(if run.steps.is_empty() { None } else { Some(0) })
}

/// The progress of the running step.
fn progress(feed: &Feed, run: &Run, position: usize) -> Option<Progress> {
    let step = run.steps.get(position)?;
    let log = LogId {
        run: run.id,
        position,
        attempt: step.attempt,
    };
    feed.progress(log)
        .filter(|_| step.state == StepState::Running)
}

async fn fragment(
    app: &App,
    run: &Run,
    selected: Option<usize>,
    admin: bool,
) -> Result<RunFragment, PageError> {
    let (now, zone) = (app.clock.now(), app.zone.get());
    let going_on = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>| {
        from.filter(|_| to.is_none())
            .map(|from| from.timestamp_millis())
    };
    let steps = (0..)
        .zip(run.steps.iter().zip(stretches(run, now)))
        .map(|(position, (step, stretch))| StepRow {
            number: position + 1,
            name: step.step.name.to_string(),
            command: command_line(step),
            rule: step.step.rule.as_str(),
            mark: step_mark(step),
            attempt: step.attempt,
            started: step.started_at.map(|time| {
                let words = zone.local(time).format("%H:%M:%S").to_string();
                Moment::said(words, time, zone)
            }),
            took: step
                .started_at
                .map(|from| lasted(from, step.finished_at.unwrap_or(now))),
            since: going_on(step.started_at, step.finished_at),
            running: step.state == StepState::Running,
            progress: progress(app.engine.feed(), run, position),
            stretch,
            reason: step.reason.clone(),
            warnings: step
                .figures
                .warnings
                .iter()
                .map(|warning| format!("{}: {}", warning.subject, warning.message))
                .collect(),
            shown: selected == Some(position),
        })
        .collect();
    Ok(RunFragment {
        failure: Failure::of(run, &app.logs).await?,
        waiting: PlaceInQueue::of(run, app).await?,
        admin,
        id: run.id.0,
        task: run.task_name.to_string(),
        mark: run_mark(run.state),
        trigger: match run.trigger {
            Trigger::Retry => "as a retry of",
            other => trigger_words(other),
        },
        retry_of: run.retry_of.map(|run| run.0),
        due: run.due.map(|time| Moment::new(app, time)),
        created: Moment::new(app, run.created_at),
        note: run.note.clone(),
        finished: run.state.is_final(),
        cancelling: run.cancel.is_some(),
        forced: run.cancel == Some(Cancel::Force),
        bad: run.first_bad().is_some(),
        took: run
            .started_at
            .map(|from| lasted(from, run.finished_at.unwrap_or(now))),
        since: going_on(run.started_at, run.finished_at),
        steps,
    })
}

/// The cause of a run in words.
pub(super) fn trigger_words(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "by its schedule",
        Trigger::Manual => "manually",
        Trigger::CatchUp => "to catch up a missed run",
        Trigger::Retry => "as a retry",
    }
}

/// Cancels a run; with `force` its `always` steps do not run.
pub(super) async fn cancel(
    admin: PageAdmin,
    Path(id): Path<i64>,
    fields: Fields,
) -> Result<Response, PageError> {
    runs::cancel(&admin.operator(), RunId(id), fields.ticked("force")).await?;
    Ok(to(&format!("/runs/{id}")))
}

/// Retries a run, and shows the new run.
pub(super) async fn retry(
    admin: PageAdmin,
    Path(id): Path<i64>,
    fields: Fields,
) -> Result<Response, PageError> {
    let from = Some(fields.text("from")).filter(|from| !from.is_empty());
    let run = runs::retry(&admin.operator(), RunId(id), from).await?;
    Ok(to(&format!("/runs/{}", run.0)))
}

/// Deletes a finished run, and shows its task.
pub(super) async fn delete(admin: PageAdmin, Path(id): Path<i64>) -> Result<Response, PageError> {
    let task = runs::delete(&admin, RunId(id)).await?;
    Ok(to(&format!("/tasks/{task}")))
}

fn command_line(step: &StepRun) -> String {
    let words = std::iter::once(step.step.command.program())
        .chain(step.step.command.args().iter().map(String::as_str));
    let line = words.map(quoted).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST_COMMAND {
        return line;
    }
    format!("{}…", line.chars().take(MOST_COMMAND).collect::<String>())
}

fn log_view(run: &Run, position: usize, attempt: Option<u32>, zone: Zone) -> LogView {
    let (id, latest) = (run.id.0, run.steps[position].attempt.max(1));
    let attempt = attempt
        .filter(|a| (1..=latest).contains(a))
        .unwrap_or(latest);
    LogView {
        step: run.steps[position].step.name.to_string(),
        base: format!("/api/v1/runs/{id}/steps/{position}/log"),
        attempt,
        zone: zone.name(),
        file: format!("{}-{id}-{}-{attempt}.log", run.task_name, position + 1),
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
