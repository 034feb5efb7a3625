//! Acts on runs. The engine writes the audit entry in the transaction of the act.

use crate::blocking;
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::lifecycle::{Cancel, RunId};
use crate::domain::task::TaskId;
use crate::engine::{AuditedAct, Change};
use crate::store;
use crate::web::App;
use crate::web::caller::{Admin, Operator};
use crate::web::error::ApiError;

/// Starts a run of the task `name` now.
pub(in crate::web) async fn start(operator: &Operator, name: String) -> Result<RunId, ApiError> {
    let task = operator.task(&name).await?;
    let act = AuditedAct::new(operator.actor(), |run| {
        started(run).with("task", None, Some(name))
    });
    Ok(operator.engine.trigger(task.id, act).await?)
}

/// Starts a run that repeats the end of an earlier one: from the step `from`, or from the
/// step that went wrong first.
pub(in crate::web) async fn retry(
    operator: &Operator,
    id: RunId,
    from: Option<String>,
) -> Result<RunId, ApiError> {
    let (number, task) = task_of(operator, id).await?;
    operator.look(number)?;
    let act = AuditedAct::new(operator.actor(), move |run| {
        started(run)
            .with("task", None, Some(task))
            .with("retry of", None, Some(id.0.to_string()))
    });
    Ok(operator.engine.retry(id, from, act).await?)
}

/// Cancels a run; with `force` its `always` steps do not run.
pub(in crate::web) async fn cancel(
    operator: &Operator,
    id: RunId,
    force: bool,
) -> Result<(), ApiError> {
    let (number, task) = task_of(operator, id).await?;
    operator.look(number)?;
    let how = match force {
        true => Cancel::Force,
        false => Cancel::Graceful,
    };
    let act = AuditedAct::new(operator.actor(), move |run| {
        Deed::new(Action::Cancelled, SubjectKind::Run, run.0.to_string())
            .with("task", None, Some(task))
            .with("force", None, force.then(|| "yes".to_owned()))
    });
    Ok(operator.engine.cancel(id, how, act).await?)
}

/// Deletes a finished run with its logs; returns the name of its task.
pub(in crate::web) async fn delete(admin: &Admin, id: RunId) -> Result<String, ApiError> {
    let (_, task) = task_of(admin, id).await?;
    let name = task.clone();
    admin
        .change(move |ledger| {
            store::runs::remove(ledger, id)?;
            let deed = Deed::new(Action::Removed, SubjectKind::Run, id.0.to_string());
            ledger.note(&deed.with("task", Some(name), None))
        })
        .await?;
    admin.engine.feed().publish(Change::Tasks);
    // The run is gone; a log that stays behind is removed at the next start.
    let logs = admin.logs.clone();
    let _ = blocking::run(move || logs.remove_runs(vec![id.0])).await;
    Ok(task)
}

/// The audit entry of a start.
pub(super) fn started(run: RunId) -> Deed {
    Deed::new(Action::Started, SubjectKind::Run, run.0.to_string())
}

/// The task of a run, with the name that it had then.
pub(in crate::web) async fn task_of(app: &App, id: RunId) -> Result<(TaskId, String), ApiError> {
    let run = app.store.read(move |tx| store::runs::get(tx, id)).await?;
    Ok((run.task, run.task_name.to_string()))
}
