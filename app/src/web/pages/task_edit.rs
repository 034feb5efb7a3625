//! New task, and the editor of one that is there.

use super::cron::{Preview, Question, preview};
use super::form::{Fields, Refusals, refused};
use super::frame::{Frame, Section};
use super::task_form::{StepChange, StepForm, TaskForm};
use super::{PageAdmin, PageError, PageViewer, html};
use crate::domain::step::RunRule;
use crate::store;
use crate::web::App;
use crate::web::api;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

const RULES: [RunRule; 3] = [RunRule::OnSuccess, RunRule::OnFailure, RunRule::Always];

#[derive(Template)]
#[template(path = "task_form.html")]
struct EditPage {
    frame: Frame,
    refusals: Refusals,
    /// The task that is changed; none for a new one.
    task: Option<String>,
    form: TaskForm,
    /// What JavaScript adds when another step is asked for.
    blank: StepForm,
    pools: Vec<(String, u32)>,
    server_zone: &'static str,
    preview: Preview,
}

impl EditPage {
    async fn new(
        app: &App,
        viewer: PageViewer,
        task: Option<String>,
        form: TaskForm,
        refusals: Refusals,
    ) -> Result<Self, PageError> {
        let question = Question {
            cron: form.cron.clone(),
            zone: form.zone.clone(),
            pool: form.pool.clone(),
            task: task.clone().unwrap_or_default(),
        };
        let preview = preview(app, &question).await?;
        let pools = app.store.read(store::pools::list).await?;
        Ok(Self {
            frame: Frame::new(viewer, Section::Tasks),
            refusals,
            task,
            form,
            blank: StepForm::default(),
            pools: pools
                .into_iter()
                .map(|stored| (stored.pool.name.to_string(), stored.pool.slots.get()))
                .collect(),
            server_zone: app.zone.get().name(),
            preview,
        })
    }

    /// Whether the fields under "more" of a step are to be seen.
    fn opens(&self, number: &usize, step: &StepForm) -> bool {
        let fields = ["retries", "retry_delay", "env", "working_dir"];
        step.has_more() || fields.iter().any(|f| self.refusals.in_step(number, f))
    }

    /// Whether the fields under "more" of the task are to be seen.
    fn opens_task(&self) -> bool {
        let usual = TaskForm::default();
        let fields = ["zone", "on_missed", "keep_runs", "keep_days"];
        let form = &self.form;
        (
            &form.zone,
            &form.on_missed,
            &form.keep_runs,
            &form.keep_days,
        ) != (
            &usual.zone,
            &usual.on_missed,
            &usual.keep_runs,
            &usual.keep_days,
        ) || fields.iter().any(|field| self.refusals.has(field))
    }
}

/// `/add/task`: the empty form.
pub(super) async fn add_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let settings = app.store.read(store::settings::get).await?;
    let form = TaskForm::keeping(settings.retention.unwrap_or_default());
    Ok(html(
        &EditPage::new(&app, viewer, None, form, Refusals::default()).await?,
    ))
}

/// Adds a task, or changes the steps of the form.
pub(super) async fn add(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let form = TaskForm::read(&fields);
    if let Some(change) = StepChange::read(&fields) {
        return changed(&app, viewer, None, form, change).await;
    }
    let added = match form.body() {
        Ok(body) => api::tasks::create(admin, State(app.clone()), Json(body))
            .await
            .map(drop),
        Err(errors) => Err(errors.into()),
    };
    answer(&app, added, viewer, None, form).await
}

/// `/tasks/{name}/edit`: the form of a task.
pub(super) async fn edit_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let wanted = name.clone();
    let stored = app
        .store
        .read(move |tx| store::tasks::by_name(tx, &wanted))
        .await?;
    let form = TaskForm::from(&stored.task);
    Ok(html(
        &EditPage::new(&app, viewer, Some(name), form, Refusals::default()).await?,
    ))
}

/// Changes a task, or the steps of the form.
pub(super) async fn edit(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let form = TaskForm::read(&fields);
    if let Some(change) = StepChange::read(&fields) {
        return changed(&app, viewer, Some(name), form, change).await;
    }
    let changed = match form.body() {
        Ok(body) => {
            let path = Path(name.clone());
            api::tasks::replace(admin, State(app.clone()), path, Json(body))
                .await
                .map(drop)
        }
        Err(errors) => Err(errors.into()),
    };
    answer(&app, changed, viewer, Some(name), form).await
}

/// Removes a task with its runs and logs.
pub(super) async fn delete(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let path = Path(name.clone());
    let Err(error) = api::tasks::delete(admin, State(app.clone()), path).await else {
        return Ok(Redirect::to("/tasks").into_response());
    };
    let refusals = Refusals::new(error)?;
    let stored = app
        .store
        .read({
            let name = name.clone();
            move |tx| store::tasks::by_name(tx, &name)
        })
        .await?;
    let form = TaskForm::from(&stored.task);
    Ok(refused(
        &EditPage::new(&app, viewer, Some(name), form, refusals).await?,
    ))
}

/// The form after one of its buttons was pressed.
async fn changed(
    app: &App,
    viewer: PageViewer,
    task: Option<String>,
    mut form: TaskForm,
    change: StepChange,
) -> Result<Response, PageError> {
    form.apply(change);
    Ok(html(
        &EditPage::new(app, viewer, task, form, Refusals::default()).await?,
    ))
}

/// To the task where it worked, else back to the form as it was filled in.
async fn answer(
    app: &App,
    result: Result<(), ApiError>,
    viewer: PageViewer,
    task: Option<String>,
    form: TaskForm,
) -> Result<Response, PageError> {
    let Err(error) = result else {
        return Ok(Redirect::to(&format!("/tasks/{}", form.name)).into_response());
    };
    let refusals = Refusals::new(error)?;
    Ok(refused(
        &EditPage::new(app, viewer, task, form, refusals).await?,
    ))
}
