//! Acts on scripts.

use super::once::{Once, SCRATCH};
use super::runs::started;
use crate::domain::audit::{Action, Actor, Deed, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::lifecycle::RunId;
use crate::domain::names::{ScriptName, StepName};
use crate::domain::step::Command;
use crate::engine::syntax::{self, Syntax};
use crate::engine::{AuditedAct, Change};
use crate::scripts::{Interpreter, MAX_SCRIPT, ScriptInfo, Scripts, run_by};
use crate::store::{self, StoreError};
use crate::view::Args;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;
use std::collections::BTreeSet;

/// The error about a script that is not there.
pub(in crate::web) fn missing(name: &ScriptName) -> ApiError {
    ApiError::NotFound(format!("script {:?}", name.as_str()))
}

/// Does work on the folder of scripts, away from the event loop.
pub(in crate::web) async fn with_scripts<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Scripts) -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let scripts = app.scripts.clone();
    Ok(crate::blocking::run(move || work(&scripts)).await??)
}

/// The bytes of a script.
pub(in crate::web) async fn read(app: &App, name: &ScriptName) -> Result<Vec<u8>, ApiError> {
    let wanted = name.clone();
    let bytes = with_scripts(app, move |scripts| scripts.read_script(&wanted)).await?;
    bytes.ok_or_else(|| missing(name))
}

/// Writes a script, new or not.
pub(in crate::web) async fn save(
    admin: &Admin,
    name: ScriptName,
    bytes: Vec<u8>,
) -> Result<ScriptInfo, ApiError> {
    if bytes.len() > MAX_SCRIPT {
        return Err(ApiError::TooLarge { limit: MAX_SCRIPT });
    }
    let (scripts, written) = (admin.scripts.clone(), name.clone());
    let infos = admin
        .change(move |ledger| {
            write(ledger, &scripts, &written, &bytes)?;
            Ok(scripts.list()?)
        })
        .await?;
    admin.engine.feed().publish(Change::Scripts);
    let info = infos.into_iter().find(|info| info.name == name);
    info.ok_or_else(|| missing(&name))
}

/// Makes a script of a file that a step or a person put into the folder.
pub(in crate::web) async fn adopt(admin: &Admin, name: &str) -> Result<ScriptInfo, ApiError> {
    let name = ScriptName::new(name)?;
    let wanted = name.clone();
    let bytes = with_scripts(admin, move |scripts| scripts.read(&wanted)).await?;
    let bytes = bytes.ok_or_else(|| missing(&name))?;
    save(admin, name, bytes).await
}

/// Makes scripts of the files that an older version left, and that a step of a task executes. Once for each data
/// directory; a file that comes later waits for an admin.
///
/// # Errors
/// Where the database or the folder cannot be used; the next start tries again.
pub(in crate::web) async fn adopt_former(app: &App) -> Result<(), ApiError> {
    if with_scripts(app, |scripts| Ok(scripts.has_adopted())).await? {
        return Ok(());
    }
    let tasks = app.store.read(store::tasks::list).await?;
    let steps = tasks.iter().flat_map(|stored| stored.task.steps());
    let commands = steps.map(|step| &step.command);
    let named: BTreeSet<ScriptName> = commands
        .filter_map(|command| run_by(command.program(), command.args()))
        .collect();
    for name in named {
        let wanted = name.clone();
        let found = with_scripts(app, move |scripts| {
            Ok(match scripts.read_script(&wanted)? {
                Some(_) => None,
                None => scripts.read(&wanted)?,
            })
        });
        let bytes = match found.await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(script = name.as_str(), %error, "a file that a step runs is not adopted as a script");
                continue;
            }
        };
        let (scripts, adopted) = (app.scripts.clone(), name.clone());
        let change = move |ledger: &Ledger<'_>| write(ledger, &scripts, &adopted, &bytes);
        app.change(&Actor::server(), change).await?;
        tracing::info!("{name} is run by a task, so it is a script now");
    }
    with_scripts(app, Scripts::mark_adopted).await
}

/// Refuses a text that its interpreter cannot read, or that was typed into an older version
/// than the newest one.
pub(in crate::web) async fn check(
    app: &App,
    name: &ScriptName,
    text: &str,
    base: &str,
) -> Result<(), ApiError> {
    if text.len() > MAX_SCRIPT {
        return Err(ApiError::TooLarge { limit: MAX_SCRIPT });
    }
    let wanted = name.clone();
    let newest = with_scripts(app, move |scripts| scripts.newest_version(&wanted)).await?;
    if newest.to_string() != base {
        return Err(ApiError::Overtaken);
    }
    match syntax::check(name, text.as_bytes()).await {
        Syntax::Wrong(said) => Err(ApiError::Syntax(said)),
        _ => Ok(()),
    }
}

/// Writes a script with its audit entry. The file comes first: an interruption between the two
/// loses an entry, but never leaves the entry of a change that was not made.
pub(super) fn write(
    ledger: &Ledger<'_>,
    scripts: &Scripts,
    name: &ScriptName,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let old = size_of(scripts, name)?;
    let action = match old {
        None => Action::Added,
        Some(_) => Action::Changed,
    };
    scripts.write(name, bytes)?;
    // The text itself is among the versions of the script.
    let version = scripts.newest_version(name)?.to_string();
    let deed = Deed::new(action, SubjectKind::Script, name.as_str())
        .with("bytes", old, Some(bytes.len().to_string()))
        .with("version", None, Some(version));
    ledger.note(&deed)
}

/// The size of a script; none where there is no such file.
fn size_of(scripts: &Scripts, name: &ScriptName) -> std::io::Result<Option<String>> {
    Ok(scripts.info(name)?.map(|info| info.size.to_string()))
}

/// Deletes a script.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let name = ScriptName::new(name)?;
    let (scripts, wanted) = (admin.scripts.clone(), name.clone());
    let removed = admin.change(move |ledger| {
        let Some(old) = size_of(&scripts, &wanted)? else {
            return Ok(false);
        };
        let deed = Deed::new(Action::Removed, SubjectKind::Script, wanted.as_str());
        ledger.note(&deed.with("bytes", Some(old), None))?;
        Ok(scripts.remove(&wanted)?)
    });
    if !removed.await? {
        return Err(missing(&name));
    }
    admin.engine.feed().publish(Change::Scripts);
    Ok(())
}

/// Runs a script once, as a run of the task `scratch`.
pub(in crate::web) async fn run(admin: &Admin, name: &str, args: &Args) -> Result<RunId, ApiError> {
    let name = ScriptName::new(name)?;
    let bytes = read(admin, &name).await?;
    let interpreter = Interpreter::of(&name, &bytes).ok_or_else(|| {
        FieldError::new(
            "script",
            "nothing says what runs it: begin it with #! and an interpreter, such as #!/usr/bin/env python3",
        )
    })?;
    let mut words = interpreter.args;
    words.push(name.to_string());
    words.extend(args.split()?);
    let once = Once {
        task: SCRATCH,
        step: StepName::new(name.as_str())?,
        command: Command::new(interpreter.program, words)?,
        timeout_s: 3600,
        keep_days: 30,
    };
    let act = AuditedAct::new(admin.actor(), move |run| {
        started(run).with("script", None, Some(name.to_string()))
    });
    super::once::run(admin, once, act).await
}
