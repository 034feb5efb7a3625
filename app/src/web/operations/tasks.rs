//! Acts on tasks.

use super::once::RESERVED;
use super::settings::default_retention;
use crate::blocking;
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::names::{TaskName, check_new_label};
use crate::domain::task::{Task, TaskId};
use crate::store::tasks::DamagedTask;
use crate::store::{self, Found, StoreError, StoredTask, Tx};
use crate::view::{TaskBody, TaskPatch};
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;

/// Adds a task.
pub(in crate::web) async fn create(admin: &Admin, body: TaskBody) -> Result<TaskId, ApiError> {
    save(admin, None, body).await
}

/// Replaces the definition of the task `name`; its runs stay.
pub(in crate::web) async fn replace(
    admin: &Admin,
    name: String,
    body: TaskBody,
) -> Result<TaskId, ApiError> {
    save(admin, Some(name), body).await
}

async fn save(admin: &Admin, name: Option<String>, mut body: TaskBody) -> Result<TaskId, ApiError> {
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

/// Changes a few fields of a task: switches its schedule on or off.
pub(in crate::web) async fn patch(
    admin: &Admin,
    name: String,
    patch: TaskPatch,
) -> Result<TaskId, ApiError> {
    let id = admin
        .change(move |ledger| {
            let old = store::tasks::by_name(ledger, &name)?;
            if let Some(auto) = patch.auto {
                store::tasks::set_auto(ledger, old.id, auto, ledger.now)?;
                note_auto(ledger, &old.task.name, old.task.auto, auto)?;
            }
            Ok(old.id)
        })
        .await?;
    admin.engine.tasks_changed().await;
    Ok(id)
}

fn note_auto(ledger: &Ledger<'_>, task: &TaskName, old: bool, new: bool) -> Result<(), StoreError> {
    let patch = |auto| TaskPatch { auto: Some(auto) };
    let (old, new) = (patch(old), patch(new));
    ledger.compare(SubjectKind::Task, task.as_str(), Some(&old), Some(&new))
}

/// Switches the schedules of all tasks off and remembers them; returns their number.
pub(in crate::web) async fn pause_all(admin: &Admin) -> Result<u32, ApiError> {
    switch_all(admin, |ledger| store::tasks::pause_all(ledger, ledger.now)).await
}

/// Switches the schedules on that were paused; returns their number. Nothing is caught up.
pub(in crate::web) async fn resume_all(admin: &Admin) -> Result<u32, ApiError> {
    switch_all(admin, |ledger| store::tasks::resume_all(ledger, ledger.now)).await
}

async fn switch_all(
    admin: &Admin,
    switch: impl FnOnce(&Ledger<'_>) -> Result<u32, StoreError> + Send + 'static,
) -> Result<u32, ApiError> {
    let count = admin
        .change(move |ledger| {
            let before = store::tasks::list(ledger)?;
            let count = switch(ledger)?;
            for (old, new) in before.iter().zip(store::tasks::list(ledger)?) {
                note_auto(ledger, &new.task.name, old.task.auto, new.task.auto)?;
            }
            Ok(count)
        })
        .await?;
    admin.engine.tasks_changed().await;
    Ok(count)
}

/// Deletes a task with its runs and logs.
pub(in crate::web) async fn delete(admin: &Admin, name: String) -> Result<(), ApiError> {
    let runs = admin
        .change(move |ledger| {
            let Some(old) = Former::find(ledger, &name)? else {
                return Err(StoreError::NotFound { what: "task", name });
            };
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
