//! Runs of a command outside the user's tasks: a script that is tried out, an installation by
//! pip. Each is a run of a task that belongs to the server, so it has a log, a time limit and
//! a cancel like any other run.

use crate::domain::definition::{Args, StepBody, TaskBody};
use crate::domain::lifecycle::RunId;
use crate::domain::names::StepName;
use crate::domain::step::Command;
use crate::domain::task::{Retention, Task};
use crate::engine::AuditedAct;
use crate::store::{self, Found, StoreError};
use crate::web::caller::Admin;
use crate::web::error::ApiError;

/// The task of scripts that are tried out.
pub(in crate::web) const SCRATCH: &str = "scratch";
/// The task of installations of Python packages.
pub(in crate::web) const LIBRARIES: &str = "libraries";

/// Names that only the server gives to its tasks.
pub(in crate::web) const RESERVED: [&str; 2] = [SCRATCH, LIBRARIES];

/// A command to run once.
pub(super) struct Once {
    /// The server's task that runs it.
    pub(super) task: &'static str,
    pub(super) step: StepName,
    pub(super) command: Command,
    pub(super) timeout_s: u32,
    /// Days for which its runs are kept.
    pub(super) keep_days: u32,
}

impl Once {
    fn task(self) -> Result<Task, ApiError> {
        let step = StepBody {
            name: self.step.to_string(),
            command: self.command.program().to_owned(),
            args: Args::List(self.command.args().to_vec()),
            timeout: self.timeout_s,
            ..StepBody::default()
        };
        let mut body = TaskBody::new(self.task.to_owned(), vec![step]);
        body.auto = false;
        body.set_default_retention(Retention::new(20, self.keep_days)?);
        Ok(Task::try_from(&body)?)
    }
}

/// Writes the server's task and starts it. Refuses while it runs, and where a person has a task of that name.
pub(super) async fn run(admin: &Admin, once: Once, act: AuditedAct) -> Result<RunId, ApiError> {
    let (task, now) = (once.task()?, admin.clock.now());
    let written = admin.store.write(move |tx| {
        let Some(old) = store::tasks::by_name(tx, task.name.as_str()).found()? else {
            let id = store::tasks::insert(tx, &task, now)?;
            store::tasks::mark_own(tx, id)?;
            return Ok(id);
        };
        if !old.own {
            return Err(StoreError::InUse(format!(
                "the task {:?} is one of yours; give it another name, because the runner needs this one",
                task.name.as_str()
            )));
        }
        store::tasks::update(tx, old.id, &task, now)?;
        Ok(old.id)
    });
    let id = written.await?;
    admin.engine.tasks_changed().await;
    Ok(admin.engine.trigger(id, act).await?)
}
