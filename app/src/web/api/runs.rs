//! Runs and their logs.

use super::tasks::resolve;
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::lifecycle::{Cancel, RunId};
use crate::store::{self, RunQuery, Scope};
use crate::view::{CancelBody, RunList, RunView};
use crate::web::App;
use crate::web::caller::{Operator, Watcher};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Params, Path};
use crate::web::log_stream::{Part, Until, find, follow};
use crate::web::sse;
use axum::Json as JsonReply;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use rusqlite::Transaction;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// Which runs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Runs of this task only.
    task: Option<String>,
    /// At most so many, 1 to 500.
    limit: Option<u32>,
    /// Runs with a smaller number only: `next_before` of the page before.
    before: Option<i64>,
}

/// Runs, newest first.
#[utoipa::path(get, path = "/runs", params(ListParams), responses((status = 200, body = RunList)))]
pub(super) async fn list(
    watcher: Watcher,
    State(app): State<Arc<App>>,
    Params(params): Params<ListParams>,
) -> Result<JsonReply<RunList>, ApiError> {
    let task = match (params.task, &watcher.0.scope) {
        (Some(task), _) => {
            watcher.look(&task)?;
            Some(task)
        }
        (None, Scope::Everything) => None,
        (None, Scope::Tasks(tasks)) => match tasks.as_slice() {
            [only] => Some(only.to_string()),
            _ => return Err(ApiError::OutOfScope),
        },
    };
    let limit = params.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let query = RunQuery {
        task: resolve(&app, task).await?,
        before: params.before.map(RunId),
        limit,
    };
    let runs = app
        .store
        .read(move |tx| store::runs::list(tx, &query))
        .await?;
    let full = u32::try_from(runs.len()).unwrap_or(u32::MAX) == limit;
    Ok(JsonReply(RunList {
        next_before: runs.last().filter(|_| full).map(|run| run.id.0),
        runs: runs.iter().map(RunView::from).collect(),
    }))
}

/// One run.
#[utoipa::path(get, path = "/runs/{id}", responses((status = 200, body = RunView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(
    watcher: Watcher,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
) -> Result<JsonReply<RunView>, ApiError> {
    let run = app
        .store
        .read(move |tx| store::runs::get(tx, RunId(id)))
        .await?;
    watcher.look(run.task_name.as_str())?;
    Ok(JsonReply(RunView::from(&run)))
}

/// Stops a run: its current step at once, and its `always` steps still run unless forced.
#[utoipa::path(post, path = "/runs/{id}/cancel", request_body = CancelBody,
    responses((status = 202), (status = 409, body = crate::view::Problem)))]
pub(super) async fn cancel(
    operator: Operator,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
    Json(body): Json<CancelBody>,
) -> Result<StatusCode, ApiError> {
    let task = task_of(&app, id).await?;
    operator.act_on(&task)?;
    let how = if body.force {
        Cancel::Force
    } else {
        Cancel::Graceful
    };
    app.engine.cancel(RunId(id), how).await?;
    let force = body.force.then(|| "yes".to_owned());
    let deed = Deed::new(Action::Cancelled, SubjectKind::Run, id.to_string())
        .with("task", None, Some(task))
        .with("force", None, force);
    app.note(operator.actor(), deed).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The name of the task of a run.
async fn task_of(app: &App, id: i64) -> Result<String, ApiError> {
    let get = move |tx: &Transaction<'_>| store::runs::get(tx, RunId(id));
    Ok(app.store.read(get).await?.task_name.to_string())
}

/// Which log to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct LogParams {
    /// The attempt, from 1; the latest when absent.
    attempt: Option<u32>,
    /// Byte offset to begin at.
    offset: Option<u64>,
}

/// A step's log as text, as far as it is now.
#[utoipa::path(get, path = "/runs/{id}/steps/{position}/log", params(LogParams),
    responses((status = 200, content_type = "text/plain"), (status = 404, body = crate::view::Problem)))]
pub(super) async fn log(
    watcher: Watcher,
    State(app): State<Arc<App>>,
    Path((run, position)): Path<(i64, usize)>,
    Params(params): Params<LogParams>,
) -> Result<Response, ApiError> {
    watcher.look(&task_of(&app, run).await?)?;
    let id = find(&app, run, position, params.attempt).await?;
    let limit = app.logs.limit();
    let parts = follow(app, id, params.offset.unwrap_or(0), Until::Now).map(move |part| {
        part.map(|part| match part {
            Part::Bytes(piece) => Bytes::from(piece.bytes),
            Part::Gap { from, to } => Bytes::from(format!(
                "\n[… {} bytes were not kept: the log passed its limit of {limit} bytes …]\n",
                to - from
            )),
            Part::End { .. } => Bytes::new(),
        })
    });
    let head = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        // A log may hold anything; it must never become a page of this server.
        (header::CONTENT_DISPOSITION, "inline; filename=\"step.log\""),
    ];
    Ok((head, Body::from_stream(parts)).into_response())
}

/// A step's log as events `chunk`, `gap` and `end` with byte offsets; follows the step
/// while it runs. Goes on after `Last-Event-ID`.
#[utoipa::path(get, path = "/runs/{id}/steps/{position}/log/stream", params(LogParams),
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = crate::view::Problem)))]
pub(super) async fn log_stream(
    watcher: Watcher,
    State(app): State<Arc<App>>,
    Path((run, position)): Path<(i64, usize)>,
    Params(params): Params<LogParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    watcher.look(&task_of(&app, run).await?)?;
    let id = find(&app, run, position, params.attempt).await?;
    let resume = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let offset = resume.or(params.offset).unwrap_or(0);
    Ok(sse::log(app, id, offset).into_response())
}
