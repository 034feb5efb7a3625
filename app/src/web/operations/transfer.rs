//! Export and import: the configuration as a document, and a document as changes.

use super::settings::default_retention;
use super::{pools, scripts, tasks, variables};
use crate::blocking;
use crate::domain::field::FieldError;
use crate::domain::names::{PoolName, ScriptName, VariableKey};
use crate::domain::pool::Pool;
use crate::domain::task::Task;
use crate::domain::variable::Variable;
use crate::engine::Change;
use crate::scripts::{MAX_SCRIPT, Scripts};
use crate::store::{self, Content, Found, StoreError, StoredVariable, Tx};
use crate::view::{Document, ImportReport, Imported, TaskBody};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;
use std::collections::BTreeMap;

/// The whole configuration as TOML.
pub(in crate::web) async fn export(app: &App) -> Result<String, ApiError> {
    let mut document = app.store.read(read).await?;
    let scripts = app.scripts.clone();
    document.scripts = blocking::run(move || texts(&scripts)).await??;
    let head = "# Lightflow: pools, variables, scripts and tasks. Secrets appear by name only.\n\n";
    let body = toml::to_string_pretty(&document).map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(format!("{head}{body}"))
}

fn read(tx: &Tx<'_>) -> Result<Document, StoreError> {
    let mut document = Document::default();
    for stored in store::pools::list(tx)? {
        document
            .pools
            .insert(stored.pool.name.to_string(), stored.pool.slots.get());
    }
    for stored in store::variables::list(tx)? {
        match stored.content {
            Content::Plain(value) => {
                document.variables.insert(stored.key.to_string(), value);
            }
            Content::Sealed(_) => document.secrets.push(stored.key.to_string()),
        }
    }
    document.tasks = store::tasks::list(tx)?
        .iter()
        .map(|stored| TaskBody::from(&stored.task))
        .collect();
    Ok(document)
}

/// The scripts that are text; a program or an archive has no place in a readable document.
fn texts(scripts: &Scripts) -> std::io::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for info in scripts.list()? {
        // Steps run here, so there may be large files that are no scripts.
        if info.size <= MAX_SCRIPT as u64
            && let Some(bytes) = scripts.read(&info.name)?
            && let Ok(text) = String::from_utf8(bytes)
        {
            texts.insert(info.name.to_string(), text);
        }
    }
    Ok(texts)
}

/// A document with accepted values only.
struct Checked {
    pools: Vec<Pool>,
    variables: Vec<StoredVariable>,
    secrets: Vec<VariableKey>,
    scripts: Vec<(ScriptName, String)>,
    tasks: Vec<Task>,
}

/// Adds and changes the contents of `bytes`. Everything is checked first, and the database
/// is changed in one transaction; scripts are files and are written at its end.
pub(in crate::web) async fn import(
    admin: &Admin,
    bytes: &[u8],
    dry_run: bool,
) -> Result<ImportReport, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|e| ApiError::Malformed(e.to_string()))?;
    let mut document: Document =
        toml::from_str(text).map_err(|e| ApiError::Malformed(e.to_string()))?;
    for (index, backup) in document.backups.drain(..).enumerate() {
        let task = backup.task();
        document
            .tasks
            .push(task.map_err(|error| error.inside(&format!("backups[{index}]")))?);
    }
    let default = default_retention(admin).await?;
    for task in &mut document.tasks {
        task.set_default_retention(default);
    }
    let checked = check(admin, &document)?;
    let scripts = admin.scripts.clone();
    let work = move |ledger: &Ledger<'_>| apply(ledger, &checked, &scripts, dry_run);
    if dry_run {
        return admin.rehearse(admin.actor(), work).await;
    }
    let report = admin.change(work).await?;
    admin.engine.pools_changed().await;
    admin.engine.tasks_changed().await;
    admin.engine.feed().publish(Change::Variables);
    admin.engine.feed().publish(Change::Scripts);
    Ok(report)
}

fn apply(
    ledger: &Ledger<'_>,
    checked: &Checked,
    folder: &Scripts,
    dry_run: bool,
) -> Result<ImportReport, StoreError> {
    let mut items = Vec::new();
    for pool in &checked.pools {
        let old = store::pools::get(ledger, &pool.name).found()?;
        let old = old.map(|old| old.pool);
        let same = old.as_ref().map(|old| old == pool);
        if same != Some(true) {
            pools::write(ledger, old.as_ref(), pool)?;
        }
        items.push(item("pool", pool.name.as_str(), same));
    }
    let old: BTreeMap<VariableKey, Content> = store::variables::list(ledger)?
        .into_iter()
        .map(|v| (v.key, v.content))
        .collect();
    for variable in &checked.variables {
        let same = old
            .get(&variable.key)
            .map(|content| *content == variable.content);
        if same != Some(true) {
            variables::write(ledger, variable)?;
        }
        items.push(item("variable", variable.key.as_str(), same));
    }
    for task in &checked.tasks {
        let old = store::tasks::by_name(ledger, task.name.as_str()).found()?;
        let same = old.as_ref().map(|old| old.task == *task);
        if same != Some(true) {
            tasks::write(ledger, old.as_ref(), task)?;
        }
        items.push(item("task", task.name.as_str(), same));
    }
    let before = texts(folder)?;
    for (name, text) in &checked.scripts {
        let same = before.get(name.as_str()).map(|old| old == text);
        if !dry_run {
            scripts::write(ledger, folder, name, text.as_bytes())?;
        }
        items.push(item("script", name.as_str(), same));
    }
    let secret = |key: &&VariableKey| matches!(old.get(*key), Some(Content::Sealed(_)));
    let missing = checked.secrets.iter().filter(|key| !secret(key));
    Ok(ImportReport {
        dry_run,
        items,
        missing_secrets: missing.map(ToString::to_string).collect(),
    })
}

/// The change of one thing; `same` is none where it is new.
fn item(kind: &str, name: &str, same: Option<bool>) -> Imported {
    let change = match same {
        None => "added",
        Some(false) => "changed",
        Some(true) => "unchanged",
    };
    Imported {
        kind: kind.to_owned(),
        name: name.to_owned(),
        change: change.to_owned(),
    }
}

fn check(app: &App, document: &Document) -> Result<Checked, ApiError> {
    let mut errors = Vec::new();
    let mut checked = Checked {
        pools: Vec::new(),
        variables: Vec::new(),
        secrets: Vec::new(),
        scripts: Vec::new(),
        tasks: Vec::new(),
    };
    for (name, slots) in &document.pools {
        match PoolName::new(name.as_str()).and_then(|name| Pool::new(name, *slots)) {
            Ok(pool) => checked.pools.push(pool),
            Err(error) => errors.push(at("pools", name, error)),
        }
    }
    for (key, value) in &document.variables {
        let variable =
            VariableKey::new(key.as_str()).and_then(|key| Variable::new(key, value.clone(), false));
        match variable {
            Ok(variable) => checked.variables.push(variables::seal(app, variable)?),
            Err(error) => errors.push(at("variables", key, error)),
        }
    }
    for key in &document.secrets {
        match VariableKey::new(key.as_str()) {
            Ok(key) => checked.secrets.push(key),
            Err(error) => errors.push(at("secrets", key, error)),
        }
    }
    for (name, text) in &document.scripts {
        match ScriptName::new(name.as_str()) {
            Ok(_) if text.len() > MAX_SCRIPT => errors.push(FieldError::new(
                format!("scripts.{name}"),
                format!("is larger than {MAX_SCRIPT} bytes"),
            )),
            Ok(name) => checked.scripts.push((name, text.clone())),
            Err(error) => errors.push(at("scripts", name, error)),
        }
    }
    for (index, body) in document.tasks.iter().enumerate() {
        match Task::try_from(body) {
            Ok(task) if checked.tasks.iter().any(|t| t.name == task.name) => {
                errors.push(FieldError::new(
                    format!("tasks[{index}].name"),
                    format!("{:?} is there twice; names of tasks are unique", body.name),
                ))
            }
            Ok(task) => checked.tasks.push(task),
            Err(refused) => errors.extend(
                refused
                    .into_iter()
                    .map(|e| e.inside(&format!("tasks[{index}]"))),
            ),
        }
    }
    if errors.is_empty() {
        Ok(checked)
    } else {
        Err(errors.into())
    }
}

fn at(table: &str, name: &str, error: FieldError) -> FieldError {
    FieldError::new(format!("{table}.{name}"), error.problem)
}
