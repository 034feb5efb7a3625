//! Acts on Python packages. pip runs as a run of the task `libraries` and never sees a shell.

use super::once::{LIBRARIES, Once};
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::lifecycle::RunId;
use crate::domain::names::{NAME_MAX, StepName};
use crate::domain::requirement::{Requirement, is_name};
use crate::domain::step::Command;
use crate::engine::AuditedAct;
use crate::libraries::Library;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;

/// Most packages in one installation.
const MOST: usize = 50;

/// Calls pip, reports missing parts of it, and removes leftovers of older versions. `-I` keeps
/// scripts that have the name of a module of pip away from it.
const INSTALL: &str = include_str!("install.py");

/// The installed packages by name.
pub(in crate::web) async fn list(app: &App) -> Result<Vec<Library>, ApiError> {
    let libraries = app.libraries.clone();
    Ok(crate::blocking::run(move || libraries.list()).await??)
}

/// Installs packages with pip. Refuses while an installation runs.
pub(in crate::web) async fn install(admin: &Admin, packages: &[String]) -> Result<RunId, ApiError> {
    let refuse = |why: &str| FieldError::new("packages", why);
    if packages.is_empty() {
        return Err(refuse("is empty; name a package, such as requests").into());
    }
    if packages.len() > MOST {
        return Err(refuse("are too many; install at most 50 at once").into());
    }
    let wanted = packages.iter().map(|text| text.parse::<Requirement>());
    let wanted = wanted.collect::<Result<Vec<Requirement>, FieldError>>()?;
    let names: Vec<&str> = wanted.iter().map(Requirement::as_str).collect();
    let names = names.join(" ");
    let folder = admin.libraries.folder().to_string_lossy().into_owned();
    let mut args = vec!["-I".to_owned(), "-c".to_owned(), INSTALL.to_owned(), folder];
    args.extend(wanted.iter().map(ToString::to_string));
    let once = Once {
        task: LIBRARIES,
        step: step_name(&names)?,
        command: Command::new("python3", args)?,
        timeout_s: 1800,
        keep_days: 90,
    };
    let act = AuditedAct::new(admin.actor(), |run| {
        Deed::new(Action::Added, SubjectKind::Libraries, names).with(
            "run",
            None,
            Some(run.0.to_string()),
        )
    });
    super::once::run(admin, once, act).await
}

/// The packages name the step, so that a retry of an older installation is refused instead of
/// repeating the latest one.
fn step_name(packages: &str) -> Result<StepName, FieldError> {
    let name = format!("install {packages}");
    StepName::new(name.chars().take(NAME_MAX).collect::<String>().trim_end())
}

/// Deletes a package with its files. Needs neither Python nor a network.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let missing = || ApiError::NotFound(format!("library {name:?}"));
    if !is_name(name) {
        return Err(missing());
    }
    let (libraries, wanted) = (admin.libraries.clone(), name.to_owned());
    let removed = admin.change(move |ledger| {
        let removed = libraries.remove(&wanted)?;
        if removed {
            ledger.note(&Deed::new(Action::Removed, SubjectKind::Libraries, wanted))?;
        }
        Ok(removed)
    });
    match removed.await? {
        true => Ok(()),
        false => Err(missing()),
    }
}
