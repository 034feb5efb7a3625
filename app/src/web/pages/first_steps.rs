//! The first steps of an empty instance: a check list on the overview, and one form that makes the tasks of backups or
//! imports a file.

use super::edit::{FormPage, saved};
use super::form::{Fields, Refusals};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageViewer};
use crate::domain::backup::{BACKUP_CRON, BACKUP_POOL};
use crate::domain::duplicate::staggered;
use crate::domain::field::FieldError;
use crate::store;
use crate::view::{BackupBody, Document};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::operations::{scripts, transfer};
use askama::Template;
use axum::response::Response;
use std::collections::BTreeMap;

/// The check list: everything that a first task needs.
#[derive(Template)]
#[template(path = "first_steps.html")]
pub(super) struct FirstSteps {
    variables: usize,
    scripts: usize,
    pools: usize,
}

impl FirstSteps {
    /// The check list as far as it is done.
    pub(super) async fn new(app: &App) -> Result<Self, ApiError> {
        let (variables, pools) = app
            .store
            .read(|tx| {
                Ok((
                    store::variables::list(tx)?.len(),
                    store::pools::list(tx)?.len(),
                ))
            })
            .await?;
        let scripts = scripts::with_scripts(app, |folder| folder.list()).await?;
        Ok(Self {
            variables,
            scripts: scripts.len(),
            pools,
        })
    }
}

/// The form that sets an instance up.
#[derive(Template)]
#[template(path = "set_up_tasks.html")]
pub(super) struct SetUpForm {
    frame: Frame,
    refusals: Refusals,
    services: String,
    document: String,
}

impl FormPage for SetUpForm {
    const LIST: &'static str = "/tasks";

    async fn page(
        viewer: &PageViewer,
        _: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let text = |name| typed.map(|typed| typed.text(name)).unwrap_or_default();
        Ok(Self {
            frame: Frame::new(viewer, Section::Tasks),
            refusals,
            services: text("services"),
            document: text("document"),
        })
    }

    async fn save(
        admin: &PageAdmin,
        _: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let document = match typed.text("do").as_str() {
            "import" => typed.text("document"),
            _ => backups(admin, &typed.text("services")).await?,
        };
        match transfer::import(admin, document.as_bytes(), false).await {
            Ok(_) => Ok(saved(Self::LIST)),
            Err(ApiError::Malformed(problem)) => Err(FieldError::new("document", problem).into()),
            Err(ApiError::Invalid(errors)) => Err(beside(&typed.text("do"), &errors).into()),
            Err(other) => Err(other),
        }
    }

    async fn delete(_: &Admin, name: &str) -> Result<(), ApiError> {
        Err(ApiError::NotFound(format!("set-up {name:?}")))
    }
}

/// All refusals beside the field that was sent.
fn beside(action: &str, errors: &[FieldError]) -> FieldError {
    let problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let field = if action == "import" {
        "document"
    } else {
        "services"
    };
    FieldError::new(field, problems.join("; "))
}

/// The document that makes one backup task for each service, each ten minutes after the one before, in a pool with one slot.
async fn backups(app: &App, services: &str) -> Result<String, ApiError> {
    let services = services.split([' ', ',', ';', '\n', '\t']);
    let services: Vec<&str> = services.filter(|service| !service.is_empty()).collect();
    if services.is_empty() {
        let problem = "is empty; name at least one service, for example vaultwarden";
        return Err(FieldError::new("services", problem).into());
    }
    let (tasks, pools) = app
        .store
        .read(|tx| Ok((store::tasks::list(tx)?, store::pools::list(tx)?)))
        .await?;
    let mut taken: Vec<String> = Vec::new();
    let mut made = Vec::new();
    for service in services {
        let name = format!("backup_{service}");
        if tasks.iter().any(|stored| stored.task.name.as_str() == name) {
            let problem = format!("has {service}, and the task {name} exists already");
            return Err(FieldError::new("services", problem).into());
        }
        let cron = match taken.last() {
            None => BACKUP_CRON.to_owned(),
            Some(before) => staggered(before, &taken),
        };
        taken.push(cron.clone());
        made.push(BackupBody {
            service: service.to_owned(),
            name: None,
            cron: Some(cron),
            pool: None,
        });
    }
    let known = pools
        .iter()
        .any(|stored| stored.pool.name.as_str() == BACKUP_POOL);
    let document = Document {
        pools: match known {
            true => BTreeMap::new(),
            false => BTreeMap::from([(BACKUP_POOL.to_owned(), 1)]),
        },
        backups: made,
        ..Document::default()
    };
    toml::to_string(&document).map_err(|error| ApiError::Internal(error.to_string()))
}
