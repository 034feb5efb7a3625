//! Export and import: the configuration as a document, and a document as changes.

use super::App;
use super::api::settings::usual_retention;
use super::api::{seal, set_in, write_in};
use super::caller::Admin;
use super::change::Ledger;
use super::error::ApiError;
use crate::blocking;
use crate::domain::audit::SubjectKind;
use crate::domain::field::FieldError;
use crate::domain::names::{PoolName, ScriptName, VariableKey};
use crate::domain::pool::Pool;
use crate::domain::task::Task;
use crate::domain::variable::Variable;
use crate::engine::Change;
use crate::scripts::{MAX_SCRIPT, Scripts};
use crate::store::{self, Content, StoreError, StoredVariable};
use crate::view::{Document, ImportReport, Imported, PoolBody, TaskBody};
use rusqlite::Transaction;
use std::collections::BTreeMap;

/// The whole configuration as TOML.
pub(super) async fn export(app: &App) -> Result<String, ApiError> {
    let mut document = app.store.read(read).await?;
    let scripts = app.scripts.clone();
    document.scripts = blocking::run(move || texts(&scripts)).await??;
    let head = "# Lightflow: pools, variables, scripts and tasks. Secrets appear by name only.\n\n";
    let body = toml::to_string_pretty(&document).map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(format!("{head}{body}"))
}

fn read(tx: &Transaction<'_>) -> Result<Document, StoreError> {
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

/// A document whose every value was accepted.
struct Checked {
    pools: Vec<Pool>,
    variables: Vec<StoredVariable>,
    secrets: Vec<VariableKey>,
    scripts: Vec<(ScriptName, String)>,
    tasks: Vec<Task>,
}

/// Adds and changes what `bytes` hold. Everything is checked first, and the database
/// is changed in one transaction; scripts are files and are written at the end of it.
pub(super) async fn import(
    app: &App,
    admin: &Admin,
    bytes: &[u8],
    dry_run: bool,
) -> Result<ImportReport, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|e| ApiError::Malformed(e.to_string()))?;
    let mut document: Document =
        toml::from_str(text).map_err(|e| ApiError::Malformed(e.to_string()))?;
    let usual = usual_retention(app).await?;
    for task in &mut document.tasks {
        task.keep_as_usual(usual);
    }
    let checked = check(app, &document)?;
    let scripts = app.scripts.clone();
    let mut report = ImportReport {
        dry_run,
        ..ImportReport::default()
    };
    let present = scripts.clone();
    let before = blocking::run(move || texts(&present)).await??;
    let mut script_items = Vec::new();
    for (name, text) in &checked.scripts {
        let was = before.get(name.as_str());
        script_items.push(item("script", name.as_str(), was.map(|old| old == text)));
    }
    let scripts_to_write = scripts.clone();
    let work = move |ledger: &Ledger<'_>| apply(ledger, &checked, &scripts_to_write, dry_run);
    let (items, missing) = if dry_run {
        rehearse(app, admin, work).await?
    } else {
        app.change(admin.actor(), work).await?
    };
    report.items = items;
    report.items.append(&mut script_items);
    report.missing_secrets = missing;
    if !dry_run {
        app.engine.pools_changed().await;
        app.engine.tasks_changed().await;
        app.engine.feed().publish(Change::Variables);
        app.engine.feed().publish(Change::Scripts);
    }
    Ok(report)
}

type Applied = (Vec<Imported>, Vec<String>);

/// Does the work in a transaction that is never committed.
async fn rehearse<F>(app: &App, admin: &Admin, work: F) -> Result<Applied, ApiError>
where
    F: FnOnce(&Ledger<'_>) -> Result<Applied, StoreError> + Send + 'static,
{
    let (sender, mut result) = tokio::sync::oneshot::channel();
    let undone = app
        .change::<(), _>(admin.actor(), move |ledger| {
            let applied = work(ledger)?;
            let _ = sender.send(applied);
            // Any error makes the store roll back.
            Err(StoreError::Closed)
        })
        .await;
    match (result.try_recv(), undone) {
        (Ok(applied), _) => Ok(applied),
        (Err(_), Err(error)) => Err(error),
        (Err(_), Ok(())) => Err(ApiError::Internal("the rehearsal was committed".to_owned())),
    }
}

fn apply(
    tx: &Ledger<'_>,
    checked: &Checked,
    scripts: &Scripts,
    dry_run: bool,
) -> Result<Applied, StoreError> {
    let mut items = Vec::new();
    for pool in &checked.pools {
        let old = match store::pools::get(tx, &pool.name) {
            Ok(old) => Some(old.pool),
            Err(StoreError::NotFound { .. }) => None,
            Err(other) => return Err(other),
        };
        match &old {
            None => store::pools::insert(tx, pool)?,
            Some(old) if old != pool => store::pools::resize(tx, pool)?,
            Some(_) => {}
        }
        let (before, after) = (old.as_ref().map(PoolBody::from), PoolBody::from(pool));
        tx.compare(
            SubjectKind::Pool,
            &after.name,
            before.as_ref(),
            Some(&after),
        )?;
        items.push(item("pool", &after.name, old.map(|old| old == *pool)));
    }
    let old: BTreeMap<VariableKey, Content> = store::variables::list(tx)?
        .into_iter()
        .map(|v| (v.key, v.content))
        .collect();
    for variable in &checked.variables {
        let was = old
            .get(&variable.key)
            .map(|content| *content == variable.content);
        if was != Some(true) {
            set_in(tx, variable)?;
        }
        items.push(item("variable", variable.key.as_str(), was));
    }
    for task in &checked.tasks {
        let was = match store::tasks::by_name(tx, task.name.as_str()) {
            Ok(old) => Some(old),
            Err(StoreError::NotFound { .. }) => None,
            Err(other) => return Err(other),
        };
        items.push(item(
            "task",
            task.name.as_str(),
            was.as_ref().map(|old| old.task == *task),
        ));
        match &was {
            None => {
                store::tasks::insert(tx, task, tx.now)?;
            }
            Some(old) if old.task != *task => store::tasks::update(tx, old.id, task, tx.now)?,
            Some(_) => {}
        }
        let before = was.map(|old| TaskBody::from(&old.task));
        let after = TaskBody::from(task);
        tx.compare(
            SubjectKind::Task,
            &after.name,
            before.as_ref(),
            Some(&after),
        )?;
    }
    if !dry_run {
        for (name, text) in &checked.scripts {
            write_in(tx, scripts, name, text.as_bytes())?;
        }
    }
    let missing = checked
        .secrets
        .iter()
        .filter(|key| !matches!(old.get(*key), Some(Content::Sealed(_))))
        .map(ToString::to_string)
        .collect();
    Ok((items, missing))
}

/// What happens to one thing; `same` is none where it is new.
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
            Ok(variable) => checked.variables.push(seal(app, variable)?),
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
