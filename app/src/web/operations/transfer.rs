//! Export and import: the configuration as a document, and a document as changes.

use super::once::RESERVED;
use super::settings::default_retention;
use super::{libraries, pools, scripts, tasks, variables};
use crate::blocking;
use crate::domain::field::FieldError;
use crate::domain::names::{PoolName, ScriptName, VariableKey, check_new_label};
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
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use std::collections::BTreeMap;

/// The whole configuration as TOML.
pub(in crate::web) async fn export(app: &App) -> Result<String, ApiError> {
    let mut document = app.store.read(read).await?;
    let scripts = app.scripts.clone();
    let found = blocking::run(move || contents(&scripts)).await??;
    (document.scripts, document.scripts_base64) = (found.texts, found.encoded);
    document.libraries = libraries::export(app).await?;
    let mut head =
        "# Lightflow: pools, variables, scripts, libraries and tasks. Secrets appear by name only.\n"
            .to_owned();
    for (name, why) in found.left_out {
        head.push_str(&format!("# Not exported: the file {name:?} {why}.\n"));
    }
    head.push('\n');
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
    let paused = store::pauses::paused_tasks(tx)?;
    for stored in store::tasks::list(tx)?
        .into_iter()
        .filter(|stored| !stored.own)
    {
        let mut body = TaskBody::from(&stored.task);
        if paused.contains(&stored.id) {
            body.auto = true;
            document.paused.push(body.name.clone());
        }
        document.tasks.push(body);
    }
    Ok(document)
}

/// The scripts as an export has them.
struct Contents {
    texts: BTreeMap<String, String>,
    /// Scripts that are no text, in base64.
    encoded: BTreeMap<String, String>,
    /// Files that are no scripts, and why.
    left_out: Vec<(String, &'static str)>,
}

fn contents(scripts: &Scripts) -> std::io::Result<Contents> {
    let mut found = Contents {
        texts: BTreeMap::new(),
        encoded: BTreeMap::new(),
        left_out: Vec::new(),
    };
    for info in scripts.list()? {
        let Some(bytes) = scripts.read_script(&info.name)? else {
            continue;
        };
        let name = info.name.to_string();
        match String::from_utf8(bytes) {
            Ok(text) => drop(found.texts.insert(name, text)),
            Err(error) => drop(found.encoded.insert(name, BASE64.encode(error.as_bytes()))),
        }
    }
    for other in scripts.others()? {
        let why = match other.changed {
            true => "was changed outside of Lightflow; adopt it as a script first",
            false => "is no script of Lightflow; adopt it as a script first",
        };
        found.left_out.push((other.info.name.to_string(), why));
    }
    Ok(found)
}

/// A document with accepted values only.
struct Checked {
    pools: Vec<Pool>,
    variables: Vec<StoredVariable>,
    secrets: Vec<VariableKey>,
    scripts: Vec<(ScriptName, Vec<u8>)>,
    tasks: Vec<Task>,
    /// Names of tasks whose schedule is paused.
    paused: Vec<String>,
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
    let wanted = libraries::WantedPackages::new(admin, &document.libraries).await?;
    let scripts = admin.scripts.clone();
    let work = move |ledger: &Ledger<'_>| apply(ledger, &checked, &scripts, dry_run);
    let mut report = match dry_run {
        true => admin.rehearse(admin.actor(), work).await?,
        false => admin.change(work).await?,
    };
    let packages = wanted.packages();
    report.items.extend(
        packages.map(|(package, missing)| item("library", package, (!missing).then_some(true))),
    );
    if dry_run {
        return Ok(report);
    }
    admin.engine.pools_changed().await;
    store::set_aside::forget();
    admin.engine.tasks_changed().await;
    admin.engine.feed().publish(Change::Variables);
    admin.engine.feed().publish(Change::Scripts);
    // The configuration is in place; packages that cannot be installed now can be installed later.
    match wanted.install(admin).await {
        Ok(run) => report.libraries_run = run.map(|run| run.0),
        Err(error) => {
            report.libraries_error = Some(error.to_string());
            let missing = |item: &&mut Imported| item.kind == "library" && item.change == "added";
            for item in report.items.iter_mut().filter(missing) {
                item.change = "not added".to_owned();
            }
        }
    }
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
        // An export from before it became a secret must not make it readable again.
        if matches!(old.get(&variable.key), Some(Content::Sealed(_))) {
            items.push(Imported {
                kind: "variable".to_owned(),
                name: variable.key.to_string(),
                change: "kept secret".to_owned(),
            });
            continue;
        }
        if same != Some(true) {
            variables::write(ledger, variable)?;
        }
        items.push(item("variable", variable.key.as_str(), same));
    }
    let paused = store::pauses::paused_tasks(ledger)?;
    for task in &checked.tasks {
        let old = tasks::Former::find(ledger, task.name.as_str())?;
        let pause = checked.paused.iter().any(|name| name == task.name.as_str());
        let was_paused = old.as_ref().is_some_and(|old| paused.contains(&old.id()));
        let mut wanted = task.clone();
        wanted.auto &= !pause;
        let same = old.as_ref().map(|old| {
            let unchanged = old.readable().is_some_and(|old| old.task == wanted);
            unchanged && was_paused == pause
        });
        if same != Some(true) {
            tasks::write(ledger, old.as_ref(), &wanted)?;
            if pause {
                store::pauses::pause(ledger, task.name.as_str())?;
            }
        }
        items.push(item("task", task.name.as_str(), same));
    }
    for (name, bytes) in &checked.scripts {
        let same = folder.read_script(name)?.map(|old| old == *bytes);
        if !dry_run {
            scripts::write(ledger, folder, name, bytes)?;
        }
        items.push(item("script", name.as_str(), same));
    }
    let secret = |key: &&VariableKey| matches!(old.get(*key), Some(Content::Sealed(_)));
    let missing = checked.secrets.iter().filter(|key| !secret(key));
    Ok(ImportReport {
        dry_run,
        items,
        missing_secrets: missing.map(ToString::to_string).collect(),
        libraries_run: None,
        libraries_error: None,
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
        paused: document.paused.clone(),
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
            Ok(name) => checked.scripts.push((name, text.clone().into_bytes())),
            Err(error) => errors.push(at("scripts", name, error)),
        }
    }
    for (name, text) in &document.scripts_base64 {
        let bytes = BASE64
            .decode(text)
            .map_err(|error| FieldError::new("script", format!("is not base64: {error}")));
        match ScriptName::new(name.as_str()).and_then(|name| Ok((name, bytes?))) {
            Ok((_, bytes)) if bytes.len() > MAX_SCRIPT => errors.push(FieldError::new(
                format!("scripts_base64.{name}"),
                format!("is larger than {MAX_SCRIPT} bytes"),
            )),
            Ok(script) => checked.scripts.push(script),
            Err(error) => errors.push(at("scripts_base64", name, error)),
        }
    }
    // An older export has the tasks of the runner itself; the runner makes its own.
    let foreign = document
        .tasks
        .iter()
        .enumerate()
        .filter(|(_, body)| !RESERVED.contains(&body.name.as_str()));
    for (index, body) in foreign {
        match Task::try_from(body) {
            Ok(task) if checked.tasks.iter().any(|t| t.name == task.name) => {
                errors.push(FieldError::new(
                    format!("tasks[{index}].name"),
                    format!("{:?} is there twice; names of tasks are unique", body.name),
                ))
            }
            Ok(task) => {
                let names = body.steps.iter().enumerate().filter_map(|(step, body)| {
                    check_new_label(&format!("tasks[{index}].steps[{step}].name"), &body.name).err()
                });
                errors.extend(names);
                checked.tasks.push(task);
            }
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
