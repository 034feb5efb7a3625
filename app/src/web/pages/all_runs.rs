//! All runs of all tasks, newest first, with filters and older pages.

use super::frame::{Frame, Section};
use super::grid::{Mark, run_mark};
use super::query::query;
use super::run::trigger_words;
use super::{Moment, PageError, PageViewer, html, lasted};
use crate::domain::lifecycle::{Run, RunState, Trigger};
use crate::store;
use crate::web::extract::Params;
use crate::web::run_query::RunListParams;
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "all_runs.html")]
struct AllRunsPage {
    frame: Frame,
    filter: RunListParams,
    /// The names of tasks, for proposals.
    tasks: Vec<String>,
    rows: Vec<RunRow>,
    /// The address of the next page.
    older: Option<String>,
}

struct RunRow {
    id: i64,
    task: String,
    mark: Mark,
    when: Moment,
    took: Option<String>,
    trigger: &'static str,
    /// The reason of the first failure, or the note of a run without steps.
    reason: Option<String>,
}

impl AllRunsPage {
    fn states(&self) -> Vec<(&'static str, bool)> {
        let chosen = text(&self.filter.state);
        let names = RunState::ALL.map(RunState::as_str);
        names.map(|name| (name, name == chosen)).to_vec()
    }

    fn triggers(&self) -> Vec<(&'static str, &'static str, bool)> {
        let chosen = text(&self.filter.trigger);
        Trigger::ALL
            .map(|one| (one.as_str(), trigger_words(one), one.as_str() == chosen))
            .to_vec()
    }

    fn filtered(&self) -> bool {
        let filter = &self.filter;
        [
            &filter.task,
            &filter.state,
            &filter.trigger,
            &filter.from,
            &filter.to,
        ]
        .into_iter()
        .any(|one| !text(one).is_empty())
    }
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// `/runs`: one page.
pub(super) async fn page(
    viewer: PageViewer,
    Params(filter): Params<RunListParams>,
) -> Result<Response, PageError> {
    let found = filter.runs(&viewer).await?;
    let tasks = viewer.store.read(store::tasks::list).await?;
    let older = |before: i64| {
        let parts = [
            ("task", text(&filter.task)),
            ("state", text(&filter.state)),
            ("trigger", text(&filter.trigger)),
            ("from", text(&filter.from)),
            ("to", text(&filter.to)),
            ("before", &before.to_string()),
        ];
        format!("/runs{}", query(&parts))
    };
    let row = |run: &Run| RunRow {
        id: run.id.0,
        task: run.task_name.to_string(),
        mark: run_mark(run.state),
        when: Moment::new(&viewer, run.started_at.unwrap_or(run.created_at)),
        took: run
            .started_at
            .zip(run.finished_at)
            .map(|(from, to)| lasted(from, to)),
        trigger: trigger_words(run.trigger),
        reason: reason(run),
    };
    Ok(html(&AllRunsPage {
        frame: Frame::new(&viewer, Section::Runs),
        tasks: tasks
            .iter()
            .map(|stored| stored.task.name.to_string())
            .collect(),
        older: found.next_before.map(older),
        rows: found.runs.iter().map(row).collect(),
        filter,
    }))
}

fn reason(run: &Run) -> Option<String> {
    match run.steps.iter().find(|step| step.is_bad()) {
        None => run.note.clone(),
        Some(step) => Some(match &step.reason {
            Some(reason) => format!("{}: {reason}", step.step.name),
            None => step.step.name.to_string(),
        }),
    }
}
