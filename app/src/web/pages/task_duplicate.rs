//! The form that makes the same task for another service; `domain/duplicate.rs` makes the copy.

use super::edit::{FormPage, saved};
use super::form::{Fields, Refusals};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageViewer};
use crate::domain::duplicate::{copy, shared_argument, staggered};
use crate::domain::task::Task;
use crate::store;
use crate::view::TaskBody;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::etag::Expected;
use crate::web::operations::tasks;
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "task_duplicate.html")]
pub(super) struct DuplicatePage {
    frame: Frame,
    refusals: Refusals,
    task: String,
    name: String,
    replace: String,
    by: String,
    /// Its schedule; of a new form at a time that no other task of the pool has.
    cron: String,
}

impl FormPage for DuplicatePage {
    const LIST: &'static str = "/tasks";

    async fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let task = original(viewer, name.unwrap_or_default()).await?;
        let shared = || shared_argument(&task).unwrap_or_default();
        let others = viewer.store.read(store::tasks::list).await?;
        let taken: Vec<String> = others
            .iter()
            .filter(|other| other.task.pool == task.pool)
            .filter_map(|other| other.task.cron.as_ref().map(ToString::to_string))
            .collect();
        let free = || {
            let cron = task.cron.as_ref().map(ToString::to_string);
            cron.map(|cron| staggered(&cron, &taken))
                .unwrap_or_default()
        };
        let text = |field| typed.map(|typed| typed.text(field));
        Ok(Self {
            frame: Frame::new(viewer, Section::Tasks),
            refusals,
            name: text("name").unwrap_or_default(),
            replace: text("replace").unwrap_or_else(shared),
            by: text("by").unwrap_or_default(),
            cron: text("cron").unwrap_or_else(free),
            task: task.name.to_string(),
        })
    }

    async fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let task = original(admin, name.unwrap_or_default()).await?;
        let (replace, by) = (typed.line("replace"), typed.line("by"));
        let mut body = copy(&TaskBody::from(&task), &typed.line("name"), &replace, &by)?;
        if typed.ticked("cron") {
            body.cron = Some(typed.line("cron")).filter(|cron| !cron.is_empty());
        }
        let name = body.name.clone();
        tasks::create(admin, body).await?;
        Ok(saved(&format!("/tasks/{name}")))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        tasks::delete(admin, name.to_owned(), Expected::default()).await
    }
}

async fn original(app: &App, name: &str) -> Result<Task, ApiError> {
    let name = name.to_owned();
    let stored = app
        .store
        .read(move |tx| store::tasks::by_name(tx, &name))
        .await?;
    Ok(stored.task)
}
