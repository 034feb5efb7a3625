//! Acts on tasks.

use super::once::RESERVED;
use super::settings::default_retention;
use crate::blocking;
use crate::domain::audit::{Action, Actor, Deed, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::names::{TaskName, check_new_label};
use crate::domain::task::{Task, TaskId};
use crate::store::tasks::DamagedTask;
use crate::store::{self, Found, StoreError, StoredTask, Tx};
use crate::view::{TaskBody, TaskPatch, rfc3339};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;
use crate::web::etag::{self, Expected};
use chrono::{DateTime, Utc};

/// Adds a task.
pub(in crate::web) async fn create(admin: &Admin, body: TaskBody) -> Result<TaskId, ApiError> {
    save(admin, None, body, Expected::default()).await
}

/// Replaces the definition of the task `name`, if it is the expected one; its runs stay.
pub(in crate::web) async fn replace(
    admin: &Admin,
    name: String,
    body: TaskBody,
    expected: Expected,
) -> Result<TaskId, ApiError> {
    save(admin, Some(name), body, expected).await
}

async fn save(
    admin: &Admin,
    name: Option<String>,
    mut body: TaskBody,
    expected: Expected,
) -> Result<TaskId, ApiError> {
    body.set_default_retention(default_retention(admin).await?);
    let task = Task::try_from(&body)?;
    let wanted = name.clone();
    let old = admin.store.read(move |tx| match wanted {
        Some(name) => Former::find(tx, &name),
        None => Ok(None),
    });
    check_new_names(&body, old.await?.as_ref())?;
    let id = admin
        .change(move |ledger| {
            let old = match name {
                None => None,
                Some(name) => Some(
                    Former::find(ledger, &name)?
                        .ok_or(StoreError::NotFound { what: "task", name })?,
                ),
            };
            check(&expected, old.as_ref())?;
            write(ledger, old.as_ref(), &task)
        })
        .await?;
    settle(admin).await;
    Ok(id)
}

/// Lets the engine follow changed tasks. A repaired one is no longer reported.
async fn settle(admin: &Admin) {
    store::set_aside::forget();
    admin.engine.tasks_changed().await;
}

/// Checks the names of steps that a task did not have before.
fn check_new_names(body: &TaskBody, old: Option<&Former>) -> Result<(), ApiError> {
    let known = |name: &str| old.is_some_and(|old| old.has_step(name));
    let new = body.steps.iter().enumerate();
    let new = new.filter(|(_, step)| !known(&step.name));
    let errors: Vec<_> = new
        .filter_map(|(index, step)| {
            check_new_label(&format!("steps[{index}].name"), &step.name).err()
        })
        .collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors.into()),
    }
}

/// A task before a change: readable, or damaged.
pub(super) enum Former {
    Task(StoredTask),
    Damaged(DamagedTask),
}

impl Former {
    /// The task of that name.
    pub(super) fn find(tx: &Tx<'_>, name: &str) -> Result<Option<Self>, StoreError> {
        match store::tasks::by_name(tx, name).found() {
            Ok(found) => Ok(found.map(Self::Task)),
            Err(error) if error.is_unreadable() => {
                Ok(store::tasks::damaged_by_name(tx, name)?.map(Self::Damaged))
            }
            Err(error) => Err(error),
        }
    }

    /// The task, where it can be read.
    pub(super) fn readable(&self) -> Option<&StoredTask> {
        match self {
            Self::Task(task) => Some(task),
            Self::Damaged(_) => None,
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> TaskId {
        match self {
            Self::Task(task) => task.id,
            Self::Damaged(task) => task.id,
        }
    }

    fn body(&self) -> Option<TaskBody> {
        match self {
            Self::Task(task) => Some(TaskBody::from(&task.task)),
            Self::Damaged(task) => task.definition.clone(),
        }
    }

    fn has_step(&self, name: &str) -> bool {
        let body = self.body();
        body.is_some_and(|body| body.steps.iter().any(|step| step.name == name))
    }
}

/// Refuses to change another version of a task than the expected one.
fn check(expected: &Expected, old: Option<&Former>) -> Result<(), StoreError> {
    old.map_or(Ok(()), |old| {
        let body = old.body();
        expected.check(
            "task",
            &body.as_ref().map(etag::of_task).unwrap_or_default(),
        )
    })
}

/// Writes a task in place of `old`, with its audit entry.
pub(super) fn write(
    ledger: &Ledger<'_>,
    old: Option<&Former>,
    task: &Task,
) -> Result<TaskId, StoreError> {
    // A task that a person called so before stays editable.
    let kept = old.is_some_and(|old| {
        let own = old.readable().is_some_and(|old| old.own);
        old.body()
            .is_some_and(|body| body.name == task.name.as_str())
            && !own
    });
    if RESERVED.contains(&task.name.as_str()) && !kept {
        return Err(StoreError::InUse(format!(
            "the name {:?} belongs to a task of the runner itself; choose another name",
            task.name.as_str()
        )));
    }
    let id = match old {
        None => store::tasks::insert(ledger, task, ledger.now)?,
        Some(old) => {
            store::tasks::update(ledger, old.id(), task, ledger.now)?;
            old.id()
        }
    };
    let (before, after) = (old.and_then(Former::body), TaskBody::from(task));
    ledger.compare(
        SubjectKind::Task,
        &after.name,
        before.as_ref(),
        Some(&after),
    )?;
    Ok(id)
}

/// Changes a few fields of a task: switches its schedule on or off, or pauses it until a time.
pub(in crate::web) async fn patch(
    admin: &Admin,
    name: String,
    patch: TaskPatch,
    expected: Expected,
) -> Result<TaskId, ApiError> {
    let until = end_of_pause(patch.paused_until.as_deref(), admin.clock.now())?;
    if until.is_some() && patch.auto == Some(true) {
        let problem = "cannot stand beside auto = true; a paused task is switched off until then";
        return Err(FieldError::new("paused_until", problem).into());
    }
    let id = admin
        .change(move |ledger| {
            let old = store::tasks::by_name(ledger, &name)?;
            expected.check("task", &etag::of_task(&TaskBody::from(&old.task)))?;
            match (patch.auto, until) {
                (_, Some(until)) => store::pauses::pause_until(ledger, old.id, until, ledger.now)?,
                (Some(auto), None) => store::tasks::set_auto(ledger, old.id, auto, ledger.now)?,
                (None, None) => return Ok(old.id),
            }
            let auto = until.is_none() && patch.auto == Some(true);
            note_auto(ledger, &old.task.name, old.task.auto, auto, until)?;
            Ok(old.id)
        })
        .await?;
    admin.engine.tasks_changed().await;
    Ok(id)
}

/// Reads the end of a pause, which has to come.
pub(in crate::web) fn end_of_pause(
    text: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, FieldError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let refuse = |problem: String| Err(FieldError::new("paused_until", problem));
    match DateTime::parse_from_rfc3339(text) {
        Ok(until) if until > now => Ok(Some(until.to_utc())),
        Ok(_) => refuse(format!("{text} has passed; use a time that is to come")),
        Err(_) => refuse(format!(
            "{text:?} is not a time; use RFC 3339, for example 2026-03-10T08:00:00+01:00"
        )),
    }
}

fn note_auto(
    ledger: &Ledger<'_>,
    task: &TaskName,
    old: bool,
    new: bool,
    until: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let old = TaskPatch {
        auto: Some(old),
        paused_until: None,
    };
    let new = TaskPatch {
        auto: Some(new),
        paused_until: until.map(rfc3339),
    };
    ledger.compare(SubjectKind::Task, task.as_str(), Some(&old), Some(&new))
}

/// Switches the schedules of all tasks off and remembers them; returns their number. With `until` they are resumed then.
pub(in crate::web) async fn pause_all(
    admin: &Admin,
    until: Option<DateTime<Utc>>,
) -> Result<u32, ApiError> {
    let pause = move |ledger: &Ledger<'_>| store::pauses::pause_all(ledger, until, ledger.now);
    switch_all(admin, admin.actor(), until, pause).await
}

/// Switches the schedules on that were paused; returns their number. Nothing is caught up.
pub(in crate::web) async fn resume_all(admin: &Admin) -> Result<u32, ApiError> {
    let resume = |ledger: &Ledger<'_>| store::pauses::resume_all(ledger, ledger.now);
    switch_all(admin, admin.actor(), None, resume).await
}

/// Resumes the tasks whose pause is over.
pub(in crate::web) async fn resume_due(app: &App) -> Result<u32, ApiError> {
    let resume = |ledger: &Ledger<'_>| store::pauses::resume_due(ledger, ledger.now);
    switch_all(app, &Actor::server(), None, resume).await
}

async fn switch_all(
    app: &App,
    actor: &Actor,
    until: Option<DateTime<Utc>>,
    switch: impl FnOnce(&Ledger<'_>) -> Result<u32, StoreError> + Send + 'static,
) -> Result<u32, ApiError> {
    let count = app
        .change(actor, move |ledger| {
            let before = store::tasks::list(ledger)?;
            let count = switch(ledger)?;
            for (old, new) in before.iter().zip(store::tasks::list(ledger)?) {
                if old.task.auto != new.task.auto {
                    note_auto(ledger, &new.task.name, old.task.auto, new.task.auto, until)?;
                }
            }
            Ok(count)
        })
        .await?;
    app.engine.tasks_changed().await;
    Ok(count)
}

/// Deletes a task with its runs and logs.
pub(in crate::web) async fn delete(
    admin: &Admin,
    name: String,
    expected: Expected,
) -> Result<(), ApiError> {
    let runs = admin
        .change(move |ledger| {
            let Some(old) = Former::find(ledger, &name)? else {
                return Err(StoreError::NotFound { what: "task", name });
            };
            check(&expected, Some(&old))?;
            match old.body() {
                Some(before) => ledger.compare(SubjectKind::Task, &name, Some(&before), None)?,
                None => ledger.note(&Deed::new(Action::Removed, SubjectKind::Task, name))?,
            }
            store::tasks::delete(ledger, old.id())
        })
        .await?;
    settle(admin).await;
    // The task is gone; a log that stays behind is removed at the next start.
    let logs = admin.logs.clone();
    let _ = blocking::run(move || logs.remove_runs(runs)).await;
    Ok(())
}
