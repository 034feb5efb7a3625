//! The pages: plain HTML made on the server; two small modules keep them live.

mod all_runs;
mod assets;
mod cron;
mod diff;
mod durations;
mod edit;
mod entry;
mod failure;
mod first_steps;
mod form;
mod frame;
mod gantt;
mod grid;
mod interpreter_check;
mod last_30_days;
mod libraries;
mod lost_session;
mod manual;
mod notifications;
mod overview;
mod overview_row;
mod page;
mod pools;
mod problem_page;
mod query;
mod relative_time;
mod run;
mod scripts;
mod settings;
mod task;
mod task_duplicate;
mod task_edit;
mod task_form;
mod task_list;
mod trend;
mod usage;
mod variables;
mod variables_paste;
mod versions;
mod way_back;

pub(super) use problem_page::for_browsers;

use page::{PageAdmin, PageError, PageViewer, html};
use relative_time::{Moment, lasted, shown};

use super::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use edit::{adding, deleting, editing};
use std::sync::Arc;

/// Most bytes of a form that strangers may send.
const LARGEST_FORM: usize = 16 * 1024;

/// Most bytes of the login form, which may carry another form along: each byte of that one may take three.
const LARGEST_LOGIN: usize = 3 * way_back::LARGEST_KEPT + LARGEST_FORM;

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
        .route("/add/task", adding::<task_edit::TaskEditPage>())
        .route("/add/tasks", adding::<first_steps::SetUpForm>())
        .route("/fragments/cron", get(cron::fragment))
        .route("/tasks/{name}/edit", editing::<task_edit::TaskEditPage>())
        .route(
            "/tasks/{name}/duplicate",
            editing::<task_duplicate::DuplicatePage>(),
        )
        .route(
            "/tasks/{name}/delete",
            deleting::<task_edit::TaskEditPage>(),
        )
        .route("/tasks/{name}/auto", post(task_list::set_auto))
        .route("/tasks/{name}/run", post(task_list::run))
        .route("/runs", get(all_runs::page))
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
        .route(
            "/add/variables",
            adding::<variables_paste::VariablesPaste>(),
        )
        .route("/connection/test", post(variables::test_connection))
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
                .route("/add/script", adding::<scripts::ScriptEditPage>())
                .route(
                    "/scripts/{name}",
                    get(scripts::edit_page).post(edit::edit::<scripts::ScriptEditPage>),
                )
                .route("/scripts/{name}/run", post(scripts::run))
                .route("/scripts/{name}/adopt", post(scripts::adopt))
                .route(
                    "/scripts/{name}/delete",
                    deleting::<scripts::ScriptEditPage>(),
                )
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
                .route(
                    "/login",
                    get(entry::login_page)
                        .post(entry::login)
                        .layer(DefaultBodyLimit::max(LARGEST_LOGIN)),
                )
                .route("/logout", post(entry::logout))
                .route("/setup", get(entry::setup_page).post(entry::setup))
                .layer(DefaultBodyLimit::max(LARGEST_FORM)),
        )
        .merge(settings::routes())
        .layer(axum::middleware::from_fn(lost_session::remember))
        .route("/assets/{name}", get(assets::asset))
        .route("/docs", get(manual::first))
        .route("/docs/{page}", get(manual::page))
        .route("/docs/pictures/{name}", get(manual::picture))
}
