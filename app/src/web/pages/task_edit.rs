//! New task, and the editor of one that is there.

use super::cron::{Preview, Question, preview};
use super::diff::{self, Line};
use super::edit::{FormPage, saved};
use super::form::{Fields, Refusals};
use super::frame::{Frame, Section};
use super::interpreter_check;
use super::task_form::{StepChange, StepForm, TaskForm};
use super::{PageAdmin, PageViewer, html};
use crate::domain::backup::backup_task;
use crate::domain::field::FieldError;
use crate::domain::step::RunRule;
use crate::domain::task::Task;
use crate::scripts::Interpreter;
use crate::store;
use crate::store::tasks::DamagedTask;
use crate::view::TaskBody;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::etag::{self, Expected};
use crate::web::operations::scripts::with_scripts;
use crate::web::operations::settings::default_retention;
use crate::web::operations::tasks;
use askama::Template;
use axum::response::Response;

const RULES: [RunRule; 3] = [RunRule::OnSuccess, RunRule::OnFailure, RunRule::Always];

#[derive(Template)]
#[template(path = "task_form.html")]
pub(super) struct TaskEditPage {
    frame: Frame,
    refusals: Refusals,
    /// The task that is changed; none for a new one.
    task: Option<String>,
    /// The version that the form was made from.
    base: String,
    /// The way from the present version to the typed one, where another change came first.
    theirs: Option<Vec<Line>>,
    form: TaskForm,
    /// The service typed for the template of a backup.
    service: String,
    /// The fields that JavaScript adds for another step.
    blank: StepForm,
    pools: Vec<(String, u32)>,
    /// Commands that run a script, for proposals.
    commands: Vec<String>,
    server_zone: &'static str,
    preview: Preview,
}

impl TaskEditPage {
    async fn new(
        viewer: &PageViewer,
        task: Option<&str>,
        form: TaskForm,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let question = Question {
            cron: form.cron.clone(),
            zone: form.zone.clone(),
            pool: form.pool.clone(),
            task: task.unwrap_or_default().to_owned(),
        };
        let preview = preview(viewer, &question).await?;
        let pools = viewer.store.read(store::pools::list).await?;
        let commands = with_scripts(viewer, |folder| {
            let names = folder.list()?.into_iter().map(|info| info.name);
            names
                .map(|name| {
                    let bytes = folder.read(&name)?.unwrap_or_default();
                    Ok(match Interpreter::of(&name, &bytes) {
                        Some(interpreter) => format!("{} {name}", interpreter.program),
                        None => format!("./{name}"),
                    })
                })
                .collect()
        });
        Ok(Self {
            commands: commands.await?,
            frame: Frame::new(viewer, Section::Tasks),
            refusals,
            task: task.map(str::to_owned),
            base: String::new(),
            theirs: None,
            form,
            service: String::new(),
            blank: StepForm::default(),
            pools: pools
                .into_iter()
                .map(|stored| (stored.pool.name.to_string(), stored.pool.slots.get()))
                .collect(),
            server_zone: viewer.zone.get().name(),
            preview,
        })
    }

    /// Reports if the fields under "more" of a step are open.
    fn opens(&self, number: &usize, step: &StepForm) -> bool {
        let fields = ["retries", "retry_delay", "env", "working_dir"];
        step.has_more() || fields.iter().any(|f| self.refusals.in_step(number, f))
    }

    /// Reports if the fields under "more" of the task are open.
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

/// The form of a damaged task as far as its definition can be read, and the problems.
fn repair(name: &str, damaged: Option<DamagedTask>) -> (TaskForm, ApiError) {
    let definition = damaged.and_then(|task| task.definition);
    let Some(body) = definition else {
        let form = TaskForm {
            name: name.to_owned(),
            ..TaskForm::default()
        };
        let why = "the stored definition of this task cannot be read; fill the form in again";
        return (form, FieldError::new("name", why).into());
    };
    let problems = match Task::try_from(&body) {
        Err(problems) => problems,
        // Another column of its row is damaged; saving writes all of them.
        Ok(_) => Vec::new(),
    };
    (TaskForm::from(&body), problems.into())
}

impl FormPage for TaskEditPage {
    const LIST: &'static str = "/tasks";

    async fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let mut refusals = refusals;
        let mut damage = None;
        let present = match name {
            None => None,
            Some(name) => {
                let wanted = name.to_owned();
                let get = viewer.store.read(move |tx| {
                    Ok(match store::tasks::by_name(tx, &wanted) {
                        Err(error) if error.is_unreadable() => {
                            (None, store::tasks::damaged_by_name(tx, &wanted)?)
                        }
                        other => (Some(other?.task), None),
                    })
                });
                let (task, damaged) = get.await?;
                if task.is_none() {
                    damage = Some(repair(name, damaged));
                }
                task
            }
        };
        let form = match (typed, &present, damage) {
            (Some(typed), ..) => TaskForm::read(typed),
            (None, Some(task), _) => TaskForm::from(&TaskBody::from(task)),
            (None, None, Some((form, problems))) => {
                refusals = Refusals::new(problems)?;
                form
            }
            (None, None, None) => TaskForm::keeping(default_retention(viewer).await?),
        };
        let overtaken = refusals.is_overtaken();
        let mut page = Self::new(viewer, name, form, refusals).await?;
        page.service = typed.map(|t| t.line("service")).unwrap_or_default();
        let present = present.as_ref().map(TaskBody::from);
        page.base = match (typed, &present) {
            (Some(typed), _) if !overtaken => typed.line("base"),
            (_, Some(present)) => etag::of_task(present),
            (_, None) => String::new(),
        };
        if let Some(present) = present.filter(|_| overtaken) {
            let mine = page.form.body()?;
            page.theirs = Some(diff::lines(&in_toml(&present)?, &in_toml(&mine)?));
        }
        Ok(page)
    }

    /// Saves the task, or shows the form after a button changed its steps.
    async fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let mut form = TaskForm::read(typed);
        if let Some(change) = StepChange::read(typed) {
            form.apply(change);
            let page = Self::new(&admin.viewer, name, form, Refusals::default());
            let base = typed.line("base");
            return Ok(html(&Self {
                base,
                ..page.await?
            }));
        }
        if name.is_none() && typed.text("do") == "backup" {
            let service = typed.line("service");
            let mut filled = TaskForm::from(&backup_task(&service)?);
            (filled.keep_runs, filled.keep_days) = (form.keep_runs, form.keep_days);
            let page = Self::new(&admin.viewer, name, filled, Refusals::default());
            let mut page = page.await?;
            if !page.pools.iter().any(|(pool, _)| *pool == page.form.pool) {
                page.form.pool = TaskForm::default().pool;
            }
            return Ok(html(&Self { service, ..page }));
        }
        let body = form.body()?;
        let refused = interpreter_check::check(&body);
        if !refused.is_empty() {
            return Err(refused.into());
        }
        match name {
            None => tasks::create(admin, body).await?,
            Some(name) => {
                let base = Expected::of_form(&typed.line("base"));
                tasks::replace(admin, name.to_owned(), body, base).await?
            }
        };
        Ok(saved(&format!("/tasks/{}", form.name)))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        tasks::delete(admin, name.to_owned(), Expected::default()).await
    }
}

/// A task as text, for comparison.
fn in_toml(task: &TaskBody) -> Result<String, ApiError> {
    toml::to_string_pretty(task).map_err(|error| ApiError::Internal(error.to_string()))
}
