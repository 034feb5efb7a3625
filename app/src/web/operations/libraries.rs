//! Acts on Python packages. pip runs as a run of the task `libraries` and never sees a shell.

use super::once::{LIBRARIES, Once};
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::lifecycle::RunId;
use crate::domain::names::{NAME_MAX, StepName};
use crate::domain::requirement::{Requirement, normalized};
use crate::domain::step::Command;
use crate::engine::AuditedAct;
use crate::libraries::Library;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;

/// Most packages in one installation.
const MOST: usize = 50;

/// Most packages in one import: an export lists also those that other packages need.
const MOST_IMPORTED: usize = 500;

/// Builds the next environment with pip. `-I` keeps scripts that have the name of a module of pip away from it.
const SCRIPT: &str = include_str!("packages.py");

/// The installed packages by name.
pub(in crate::web) async fn list(app: &App) -> Result<Vec<Library>, ApiError> {
    let libraries = app.libraries.clone();
    Ok(crate::blocking::run(move || libraries.list()).await??)
}

/// Installs packages with pip. Refuses while packages change.
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
    change(admin, Action::Added, wanted.iter().map(Requirement::as_str)).await
}

/// Removes a package. Refuses while packages change; the run fails where another package needs it.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<RunId, ApiError> {
    let installed = list(admin).await?;
    let known = installed
        .iter()
        .find(|library| normalized(&library.name) == normalized(name))
        .ok_or_else(|| ApiError::NotFound(format!("library {name:?}")))?;
    change(admin, Action::Removed, [known.name.as_str()]).await
}

/// The packages as an export has them.
pub(super) async fn export(app: &App) -> Result<Vec<String>, ApiError> {
    let installed = list(app).await?;
    // A step may have written a description that names no package.
    let text = |library: &Library| {
        let text = format!("{}=={}", library.name, library.version);
        text.parse::<Requirement>().ok().map(|_| text)
    };
    Ok(installed.iter().filter_map(text).collect())
}

/// The packages of an import; those that are not installed in this version count as missing.
pub(super) struct WantedPackages {
    packages: Vec<(Requirement, bool)>,
}

impl WantedPackages {
    /// Reads the packages of a document.
    pub(super) async fn new(app: &App, packages: &[String]) -> Result<Self, ApiError> {
        if packages.len() > MOST_IMPORTED {
            let why = format!("are too many; an import installs at most {MOST_IMPORTED}");
            return Err(FieldError::new("libraries", why).into());
        }
        let there = export(app).await?;
        let there: Vec<String> = there.iter().map(|text| text.to_lowercase()).collect();
        let mut wanted = Vec::new();
        for (index, text) in packages.iter().enumerate() {
            let at = |e: FieldError| FieldError::new(format!("libraries[{index}]"), e.problem);
            let one = text.parse::<Requirement>().map_err(at)?;
            let missing = !there.contains(&one.as_str().to_lowercase());
            wanted.push((one, missing));
        }
        Ok(Self { packages: wanted })
    }

    /// The packages, each with true where it is missing.
    pub(super) fn packages(&self) -> impl Iterator<Item = (&str, bool)> {
        let packages = self.packages.iter();
        packages.map(|(package, missing)| (package.as_str(), *missing))
    }

    /// Installs the missing packages, if there are any.
    pub(super) async fn install(&self, admin: &Admin) -> Result<Option<RunId>, ApiError> {
        let missing = self.packages().filter(|(_, missing)| *missing);
        let missing: Vec<&str> = missing.map(|(package, _)| package).collect();
        match missing.is_empty() {
            true => Ok(None),
            false => Ok(Some(change(admin, Action::Added, missing).await?)),
        }
    }
}

async fn change(
    admin: &Admin,
    action: Action,
    packages: impl IntoIterator<Item = &str>,
) -> Result<RunId, ApiError> {
    let packages: Vec<&str> = packages.into_iter().collect();
    let names = packages.join(" ");
    let verb = match action {
        Action::Removed => "remove",
        _ => "install",
    };
    let folder = admin.libraries.folder().to_string_lossy().into_owned();
    let mut args = vec!["-I".to_owned(), "-c".to_owned(), SCRIPT.to_owned()];
    args.extend([folder, verb.to_owned()]);
    args.extend(packages.iter().map(ToString::to_string));
    let once = Once {
        task: LIBRARIES,
        step: step_name(verb, &names)?,
        command: Command::new("python3", args)?,
        timeout_s: 1800,
        keep_days: 90,
    };
    let act = AuditedAct::new(admin.actor(), move |run| {
        Deed::new(action, SubjectKind::Libraries, names).with("run", None, Some(run.0.to_string()))
    });
    super::once::run(admin, once, act).await
}

/// The packages name the step, so that a retry of an older change is refused instead of repeating the latest one.
fn step_name(verb: &str, packages: &str) -> Result<StepName, FieldError> {
    let name = format!("{verb} {packages}");
    StepName::new(name.chars().take(NAME_MAX).collect::<String>().trim_end())
}
