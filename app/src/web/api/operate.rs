//! Health, readiness, metrics and the description of the API itself.

use crate::domain::lifecycle::RunState;
use crate::store::{self, RunQuery};
use crate::web::App;
use crate::web::caller::Viewer;
use crate::web::error::ApiError;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::sync::Arc;
use utoipa::OpenApi;

/// The process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The process can do its work: the database and the engine answer.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    app.store
        .read(|tx| store::pools::list(tx).map(|_| ()))
        .await?;
    if !app.engine.is_alive().await {
        return Err(ApiError::Internal("the engine does not answer".to_owned()));
    }
    Ok("ready\n")
}

/// The OpenAPI document, made from the handlers.
pub(super) async fn openapi() -> Result<Response, ApiError> {
    let text = super::Document::openapi()
        .to_pretty_json()
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Metrics in the text format of Prometheus.
pub(super) async fn metrics(_: Viewer, State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let tasks = app
        .store
        .read(|tx| {
            store::tasks::list(tx)?
                .into_iter()
                .map(|task| {
                    let query = RunQuery {
                        task: Some(task.id),
                        limit: 20,
                        ..RunQuery::default()
                    };
                    Ok((task.task.name, store::runs::list(tx, &query)?))
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut last = String::new();
    let mut success = String::new();
    for (name, runs) in &tasks {
        if let Some(run) = runs.iter().find(|r| r.state.is_final()) {
            let good = i32::from(matches!(run.state, RunState::Success | RunState::Skipped));
            let _ = writeln!(last, "lightflow_task_last_run_ok{{task=\"{name}\"}} {good}");
        }
        let time = runs
            .iter()
            .find(|r| r.state == RunState::Success)
            .and_then(|r| r.finished_at);
        if let Some(time) = time {
            let _ = writeln!(
                success,
                "lightflow_task_last_success_timestamp_seconds{{task=\"{name}\"}} {}",
                time.timestamp()
            );
        }
    }
    let mut running = String::new();
    let mut waiting = String::new();
    for (name, state) in app.engine.pools().await {
        let _ = writeln!(
            running,
            "lightflow_pool_running{{pool=\"{name}\"}} {}",
            state.holders.len()
        );
        let _ = writeln!(
            waiting,
            "lightflow_pool_waiting{{pool=\"{name}\"}} {}",
            state.waiting.len()
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let mut text = String::new();
    for (name, help, samples) in [
        (
            "lightflow_build_info",
            "The version that runs.",
            format!("lightflow_build_info{{version=\"{version}\"}} 1\n"),
        ),
        (
            "lightflow_task_last_run_ok",
            "1 when the task's newest finished run did not fail.",
            last,
        ),
        (
            "lightflow_task_last_success_timestamp_seconds",
            "When the task last succeeded, Unix time.",
            success,
        ),
        (
            "lightflow_pool_running",
            "Steps that hold a slot of the pool.",
            running,
        ),
        (
            "lightflow_pool_waiting",
            "Steps that wait for a slot of the pool.",
            waiting,
        ),
    ] {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{samples}");
    }
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response())
}
