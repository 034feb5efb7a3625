//! The pages: plain HTML made on the server; two small modules keep them live.

mod assets;
mod cron;
mod diff;
mod durations;
mod edit;
mod entry;
mod form;
mod frame;
mod gantt;
mod grid;
mod libraries;
mod moments;
mod notifications;
mod overview;
mod pools;
mod run;
mod scripts;
mod settings;
mod strip;
mod task;
mod task_duplicate;
mod task_edit;
mod task_form;
mod task_list;
mod trend;
mod usage;
mod variables;
mod versions;

use super::App;
use super::caller::{Admin, Viewer};
use super::error::ApiError;
use crate::store::Role;
use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use edit::{adding, deleting, editing};
use std::ops::Deref;
use std::sync::Arc;

/// Most bytes of a form that strangers may send.
const LARGEST_FORM: usize = 16 * 1024;

/// Most bytes of a form with a script in it: each byte of the text may take three.
const LARGEST_SCRIPT_FORM: usize = 3 * crate::scripts::MAX_SCRIPT + LARGEST_FORM;

/// The pages' addresses.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(overview::page))
        .route("/fragments/overview", get(overview::fragment))
        .route("/tasks", get(task_list::page))
        .route("/fragments/tasks", get(task_list::fragment))
        .route("/schedules/pause", post(task_list::pause_all))
        .route("/schedules/resume", post(task_list::resume_all))
        .route("/tasks/{name}", get(task::task))
        .route("/fragments/tasks/{name}", get(task::task_fragment))
        .route("/add/task", adding::<task_edit::EditPage>())
        .route("/fragments/cron", get(cron::fragment))
        .route("/tasks/{name}/edit", editing::<task_edit::EditPage>())
        .route(
            "/tasks/{name}/duplicate",
            editing::<task_duplicate::DuplicatePage>(),
        )
        .route("/tasks/{name}/delete", deleting::<task_edit::EditPage>())
        .route("/tasks/{name}/auto", post(task_list::set_auto))
        .route("/tasks/{name}/run", post(task_list::run))
        .route("/runs/{id}", get(run::run))
        .route("/fragments/runs/{id}", get(run::run_fragment))
        .route("/runs/{id}/cancel", post(run::cancel))
        .route("/runs/{id}/retry", post(run::retry))
        .route("/runs/{id}/delete", post(run::delete))
        .route("/pools", get(pools::list))
        .route("/fragments/pools", get(pools::list_fragment))
        // Things are added under an address of its own: each may have any name, also "new".
        .route("/add/pool", adding::<pools::PoolForm>())
        .route("/pools/{name}", editing::<pools::PoolForm>())
        .route("/pools/{name}/delete", deleting::<pools::PoolForm>())
        .route("/variables", get(variables::list))
        .route("/add/variable", adding::<variables::VariableForm>())
        .route("/variables/{key}", editing::<variables::VariableForm>())
        .route(
            "/variables/{key}/delete",
            deleting::<variables::VariableForm>(),
        )
        .route("/libraries", get(libraries::page).post(libraries::install))
        .route("/fragments/libraries", get(libraries::fragment))
        .route("/libraries/{name}/delete", post(libraries::remove))
        .route("/notifications", get(notifications::list))
        .route(
            "/add/notification",
            get(notifications::add_page).post(edit::add::<notifications::ChannelForm>),
        )
        .route(
            "/notifications/{name}",
            editing::<notifications::ChannelForm>(),
        )
        .route("/notifications/{name}/test", post(notifications::test))
        .route(
            "/notifications/{name}/delete",
            deleting::<notifications::ChannelForm>(),
        )
        .merge(
            Router::new()
                .route("/scripts", get(scripts::list))
                .route("/add/script", adding::<scripts::EditPage>())
                .route(
                    "/scripts/{name}",
                    get(scripts::edit_page).post(edit::edit::<scripts::EditPage>),
                )
                .route("/scripts/{name}/run", post(scripts::run))
                .route("/scripts/{name}/delete", deleting::<scripts::EditPage>())
                .route("/scripts/{name}/versions", get(versions::list))
                .route("/scripts/{name}/versions/{number}", get(versions::show))
                .route(
                    "/scripts/{name}/versions/{number}/restore",
                    post(versions::restore),
                )
                .layer(DefaultBodyLimit::max(LARGEST_SCRIPT_FORM)),
        )
        .merge(
            Router::new()
                .route("/login", get(entry::login_page).post(entry::login))
                .route("/logout", post(entry::logout))
                .route("/setup", get(entry::setup_page).post(entry::setup))
                .layer(DefaultBodyLimit::max(LARGEST_FORM)),
        )
        .merge(settings::routes())
        .route("/assets/{name}", get(assets::asset))
}

/// An error as a page.
pub(super) struct PageError(ApiError);

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: String,
    detail: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if matches!(self.0, ApiError::Unauthorized) {
            return Redirect::to("/login").into_response();
        }
        let (status, ..) = self.0.table();
        let problem = self.0.problem();
        let page = ErrorPage {
            title: problem.title,
            detail: problem.detail,
        };
        (status, html(&page)).into_response()
    }
}

/// The caller of a page; one who is not logged in is sent to the login page.
struct PageViewer {
    viewer: Viewer,
    /// The permission to change things.
    admin: bool,
}

impl Deref for PageViewer {
    type Target = Viewer;

    fn deref(&self) -> &Viewer {
        &self.viewer
    }
}

impl FromRequestParts<Arc<App>> for PageViewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let viewer = Viewer::from_request_parts(parts, app).await?;
        let admin = viewer.principal.role == Role::Admin;
        Ok(Self { viewer, admin })
    }
}

/// The caller of a page for admins.
struct PageAdmin {
    viewer: PageViewer,
    admin: Admin,
}

impl Deref for PageAdmin {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

impl FromRequestParts<Arc<App>> for PageAdmin {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        Ok(Self {
            admin: Admin::from_request_parts(parts, app).await?,
            viewer: PageViewer::from_request_parts(parts, app).await?,
        })
    }
}

/// Renders a template.
fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A time as pages show it: in the server's zone, to the second.
fn shown(time: DateTime<Utc>, zone: Tz) -> String {
    time.with_timezone(&zone)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// A duration as pages show it: `0.3 s`, `42 s`, `3 min 5 s`, `2 h 10 min`.
fn lasted(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let millis = (to - from).num_milliseconds().max(0);
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_size() {
        let from = DateTime::from_timestamp(0, 0).unwrap();
        let text = |ms| lasted(from, DateTime::from_timestamp_millis(ms).unwrap());
        assert_eq!(text(340), "0.3 s");
        assert_eq!(text(9_990), "9.9 s");
        assert_eq!(text(42_000), "42 s");
        assert_eq!(text(185_000), "3 min 5 s");
        assert_eq!(text(7_800_000), "2 h 10 min");
        assert_eq!(text(-5), "0.0 s");
    }
}
