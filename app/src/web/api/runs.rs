//! Runs and their logs.

use crate::blocking;
use crate::domain::field::FieldError;
use crate::domain::lifecycle::RunId;
use crate::engine::LogId;
use crate::store;
use crate::view::{CancelBody, LogMatches, LogPart, RetryBody, RunList, RunView, Triggered};
use crate::web::caller::{Admin, Operator, Watcher};
use crate::web::download::Conditions;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Params, Path};
use crate::web::log_download::LogText;
use crate::web::log_part::{self, LogPlace};
use crate::web::log_stream::find;
use crate::web::operations::runs;
use crate::web::run_query::RunListParams;
use crate::web::sse;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

/// Runs, newest first.
#[utoipa::path(get, path = "/runs", params(RunListParams),
    responses((status = 200, body = RunList), (status = 422, body = crate::view::Problem)))]
pub(super) async fn list(
    watcher: Watcher,
    Params(params): Params<RunListParams>,
) -> Result<Json<RunList>, ApiError> {
    let found = params.runs(&watcher).await?;
    Ok(Json(RunList {
        next_before: found.next_before,
        runs: found.runs.iter().map(RunView::from).collect(),
    }))
}

/// One run.
#[utoipa::path(get, path = "/runs/{id}", responses((status = 200, body = RunView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(watcher: Watcher, Path(id): Path<i64>) -> Result<Json<RunView>, ApiError> {
    let run = watcher
        .store
        .read(move |tx| store::runs::get(tx, RunId(id)))
        .await?;
    watcher.look(run.task)?;
    Ok(Json(RunView::from(&run)))
}

/// Removes a run that is over, with its logs.
#[utoipa::path(delete, path = "/runs/{id}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(super) async fn remove(admin: Admin, Path(id): Path<i64>) -> Result<StatusCode, ApiError> {
    runs::delete(&admin, RunId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs the end of an earlier run again, as a new run: from the step named, or from the one
/// that went wrong first. The steps are those that the task has now; those before are not run
/// again, except `always` ones. Refused with 409 while the task runs.
#[utoipa::path(post, path = "/runs/{id}/retry", request_body = RetryBody,
    responses((status = 202, body = Triggered), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn retry(
    operator: Operator,
    Path(id): Path<i64>,
    Json(body): Json<RetryBody>,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let run = runs::retry(&operator, RunId(id), body.from).await?.0;
    Ok((StatusCode::ACCEPTED, Json(Triggered { run })))
}

/// Stops a run: its current step at once, and its `always` steps still run unless forced.
#[utoipa::path(post, path = "/runs/{id}/cancel", request_body = CancelBody,
    responses((status = 202), (status = 409, body = crate::view::Problem)))]
pub(super) async fn cancel(
    operator: Operator,
    Path(id): Path<i64>,
    Json(body): Json<CancelBody>,
) -> Result<StatusCode, ApiError> {
    runs::cancel(&operator, RunId(id), body.force).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The log of an attempt of a step, for a caller who may see it.
async fn log_id(
    watcher: &Watcher,
    (run, position): (i64, usize),
    attempt: Option<u32>,
) -> Result<LogId, ApiError> {
    watcher.look(runs::task_of(watcher, RunId(run)).await?.0)?;
    find(watcher, run, position, attempt).await
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

/// A step's log as text, as far as it is now. Ranges and conditions refer to that text.
#[utoipa::path(get, path = "/runs/{id}/steps/{position}/log", params(LogParams),
    responses((status = 200, content_type = "text/plain"), (status = 206, content_type = "text/plain"), (status = 304), (status = 404, body = crate::view::Problem), (status = 416, body = crate::view::Problem)))]
pub(super) async fn log(
    watcher: Watcher,
    conditions: Conditions,
    Path(step): Path<(i64, usize)>,
    Params(params): Params<LogParams>,
) -> Result<Response, ApiError> {
    let id = log_id(&watcher, step, params.attempt).await?;
    let (logs, from) = (watcher.logs.clone(), params.offset.unwrap_or(0));
    let text = blocking::run(move || LogText::new(logs, id, from)).await??;
    let head = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        // A log may hold anything; it must never become a page of this server.
        (
            header::CONTENT_DISPOSITION,
            "inline; filename=\"step.log\"".to_owned(),
        ),
    ];
    let (tag, length) = (text.tag.clone(), text.length());
    conditions.answer(&tag, length, &head, move |range| text.body(range))
}

/// Which part of a log to read; the newest when neither is given.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PartParams {
    /// The attempt, from 1; the latest when absent.
    attempt: Option<u32>,
    /// What ends exactly at this offset.
    before: Option<u64>,
    /// What begins exactly at this offset.
    after: Option<u64>,
    /// Begin with the first whole line after it.
    #[serde(default)]
    line: bool,
}

/// A part of a step's log, at most 128 KiB, in whole lines where they are not longer. Parts
/// that are asked for by the end or the beginning of another one fit to it.
#[utoipa::path(get, path = "/runs/{id}/steps/{position}/log/part", params(PartParams),
    responses((status = 200, body = LogPart), (status = 404, body = crate::view::Problem)))]
pub(super) async fn log_part(
    watcher: Watcher,
    Path(step): Path<(i64, usize)>,
    Params(params): Params<PartParams>,
) -> Result<Json<LogPart>, ApiError> {
    let id = log_id(&watcher, step, params.attempt).await?;
    let place = match (params.before, params.after) {
        (Some(before), _) => LogPlace::Before(before),
        (None, Some(after)) if params.line => LogPlace::FromLine(after),
        (None, Some(after)) => LogPlace::After(after),
        (None, None) => LogPlace::End,
    };
    let logs = watcher.logs.clone();
    let part = blocking::run(move || log_part::part(&logs, id, place)).await??;
    Ok(Json(part))
}

/// What to look for in a log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    /// The attempt, from 1; the latest when absent.
    attempt: Option<u32>,
    /// The text, 1 to 200 bytes; the case of the letters a to z does not matter.
    q: String,
    /// Byte offset to begin at.
    from: Option<u64>,
}

/// Where a text occurs in a step's log, in its order.
#[utoipa::path(get, path = "/runs/{id}/steps/{position}/log/search", params(SearchParams),
    responses((status = 200, body = LogMatches), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn log_search(
    watcher: Watcher,
    Path(step): Path<(i64, usize)>,
    Params(params): Params<SearchParams>,
) -> Result<Json<LogMatches>, ApiError> {
    if !(1..=200).contains(&params.q.len()) {
        return Err(FieldError::new("q", "must be 1 to 200 bytes long").into());
    }
    let id = log_id(&watcher, step, params.attempt).await?;
    let logs = watcher.logs.clone();
    let search = move || log_part::matches(&logs, id, &params.q, params.from.unwrap_or(0));
    let found = blocking::run(search).await??;
    Ok(Json(found))
}

/// A step's log as events `chunk`, `gap` and `end` with byte offsets; follows the step
/// while it runs. Goes on after `Last-Event-ID`.
#[utoipa::path(get, path = "/runs/{id}/steps/{position}/log/stream", params(LogParams),
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = crate::view::Problem)))]
pub(super) async fn log_stream(
    watcher: Watcher,
    Path(step): Path<(i64, usize)>,
    Params(params): Params<LogParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = log_id(&watcher, step, params.attempt).await?;
    let resume = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let offset = resume.or(params.offset).unwrap_or(0);
    Ok(sse::log(watcher.app.clone(), id, offset).into_response())
}
