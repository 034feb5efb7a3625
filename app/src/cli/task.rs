//! `lightflow task`: tasks, and starting their runs.

use super::client::{Body, path, read};
use super::error::{CliError, notice};
use super::session::{JsonOption, Session, Yes};
use super::task_duplicate::DuplicateTask;
use super::task_edit::{CreateTask, EditTask};
use super::task_run::Waiting;
use super::task_text;
use crate::domain::rehearsal::{SCRIPT, SCRIPT_NAME};
use crate::view::{
    CancelBody, DamagedTaskView, ScriptList, TaskBody, TaskList, TaskPatch, TaskView,
};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use hyper::Method;
use hyper::body::Bytes;
use std::process::ExitCode;

/// Tasks: list, show, create, edit, run, …
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  lightflow task list\n  lightflow task run backup_vaultwarden --follow\n  \
        lightflow task disable backup_vaultwarden"
)]
pub(super) enum TaskCommand {
    /// List all tasks
    List(JsonOption),
    /// Show a task and its steps
    Show(Named),
    Create(CreateTask),
    Edit(EditTask),
    Duplicate(DuplicateTask),
    /// Delete a task with its runs and logs
    Delete {
        /// The task
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
    /// Run a task now
    #[command(
        after_help = "With --wait the exit code is the run's own result: 0 success, 75 skipped,\n\
            1 anything else. Ctrl-C ends the waiting, not the run.\n\n\
            Examples:\n  lightflow task run backup_vaultwarden\n  \
            lightflow task run backup_vaultwarden --follow\n  \
            lightflow task run backup_vaultwarden --wait && echo done"
    )]
    Run {
        /// The task
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Cancel the task's run; its `always` steps still run
    Cancel {
        #[command(flatten)]
        task: Named,
        #[command(flatten)]
        force: Force,
    },
    /// Follow the task's CRON expression
    Enable(Named),
    /// Do not follow it; the task still runs on demand
    #[command(
        after_help = "Example:\n  lightflow task disable backup_vaultwarden --until 2026-03-10T08:00:00+01:00"
    )]
    Disable {
        #[command(flatten)]
        task: Named,
        /// Follow it again from this time on, in RFC 3339
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The task
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    #[command(flatten)]
    json: JsonOption,
}

/// The option `--force` of both ways to cancel.
#[derive(Debug, Args)]
pub(super) struct Force {
    /// Stop and leave out the `always` steps too
    #[arg(long)]
    pub(super) force: bool,
}

impl TaskCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(json) => list(session, json).await,
            Self::Show(Named { name, json }) => {
                let body = session.client.fetch(&path(&["tasks", &name])).await?;
                print(&mut session, json, &body)
            }
            Self::Create(create) => {
                let is_rehearsal = create.is_rehearsal();
                let (json, task) = (create.json, create.task()?);
                if is_rehearsal {
                    provide_script(&session).await?;
                }
                let answer = session.send(Method::POST, &["tasks"], &task).await?;
                print(&mut session, json, &answer)
            }
            Self::Edit(edit) => {
                let (name, json) = (edit.name.clone(), edit.json);
                let task = edit.applied(definition(&session, &name).await?)?;
                let answer = session.send(Method::PUT, &["tasks", &name], &task).await?;
                print(&mut session, json, &answer)
            }
            Self::Duplicate(duplicate) => {
                let json = duplicate.json;
                let answer = duplicate.send(&session).await?;
                print(&mut session, json, &answer)
            }
            Self::Delete { name, yes } => {
                yes.confirm(&format!("Delete the task {name} with its runs and logs"))?;
                session.ask(Method::DELETE, &["tasks", &name]).await?;
                session.out.line(&format!("task {name} deleted"))?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Run { name, waiting } => waiting.start(session, &name).await,
            Self::Cancel { task, force } => cancel(session, task, force).await,
            Self::Enable(task) => switch(session, task, true, None).await,
            Self::Disable { task, until } => switch(session, task, false, until).await,
        }
    }
}

/// Creates the script of a rehearsal; one of that name stays as it is.
async fn provide_script(session: &Session) -> Result<(), CliError> {
    let list: ScriptList = session.client.get(&path(&["scripts"])).await?;
    if list.scripts.iter().any(|script| script.name == SCRIPT_NAME) {
        return Ok(());
    }
    let (url, body) = (path(&["scripts", SCRIPT_NAME]), Body::Bytes(SCRIPT.into()));
    session.client.send(Method::PUT, &url, body).await?;
    notice(&format!("script {SCRIPT_NAME} created"));
    Ok(())
}

/// The definition of a task, also of a damaged one as far as it can be read.
async fn definition(session: &Session, name: &str) -> Result<TaskBody, CliError> {
    let error = match session.client.get(&path(&["tasks", name])).await {
        Ok::<TaskView, _>(view) => return Ok(view.task),
        Err(error) => error,
    };
    let Ok(list) = session.client.get::<TaskList>(&path(&["tasks"])).await else {
        return Err(error);
    };
    let damaged = list.damaged.into_iter().find(|task| task.name == name);
    match damaged {
        None => Err(error),
        Some(task) => task.definition.ok_or_else(|| {
            CliError::Local(format!(
                "the definition of {name} cannot be read ({}); write it again with lightflow import, or delete the task",
                task.problem
            ))
        }),
    }
}

async fn list(mut session: Session, json: JsonOption) -> Result<ExitCode, CliError> {
    let body = session.client.fetch(&path(&["tasks"])).await?;
    if json.json {
        session.out.json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let TaskList { tasks, damaged } = read(&body)?;
    for DamagedTaskView { name, problem, .. } in &damaged {
        notice(&format!(
            "the task {name} does not run, because its definition cannot be read: {problem}. Repair it with lightflow task edit {name} …, or delete it"
        ));
    }
    if tasks.is_empty() {
        session
            .out
            .line("no tasks yet; make one with lightflow task create (see its --help)")?;
    } else {
        let text = task_text::list(&session.out, &session.here, &tasks);
        session.out.text(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the task as the server has it now.
fn print(session: &mut Session, json: JsonOption, body: &Bytes) -> Result<ExitCode, CliError> {
    if json.json {
        session.out.json(body)?;
    } else {
        let view: TaskView = read(body)?;
        let text = task_text::show(&session.out, &session.here, &view);
        session.out.text(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn switch(
    mut session: Session,
    task: Named,
    auto: bool,
    until: Option<String>,
) -> Result<ExitCode, CliError> {
    let Named { name, json } = task;
    let patch = TaskPatch {
        auto: Some(auto),
        paused_until: until,
    };
    let answer = session
        .send(Method::PATCH, &["tasks", &name], &patch)
        .await?;
    let view: TaskView = read(&answer)?;
    let sentence = match (auto, &view.next_fire, &view.task.cron) {
        (true, Some(next), _) => format!("{name}: auto on, next {}", session.here.full(next)),
        (true, None, None) => format!("{name}: auto on, but it has no CRON expression"),
        (true, None, Some(_)) => format!("{name}: auto on"),
        (false, ..) => match &view.paused_until {
            Some(until) => format!("{name}: auto off until {}", session.here.full(until)),
            None => format!("{name}: auto off"),
        },
    };
    session.done(json, &answer, &sentence)
}

async fn cancel(mut session: Session, task: Named, force: Force) -> Result<ExitCode, CliError> {
    let Named { name, json } = task;
    let view: TaskView = session.client.get(&path(&["tasks", &name])).await?;
    let Some(run) = view.last_run.filter(|run| !run.finished) else {
        return Err(CliError::Local(format!("no run of {name} goes on")));
    };
    let (id, body) = (run.id.to_string(), CancelBody { force: force.force });
    let answer = session
        .send(Method::POST, &["runs", &id, "cancel"], &body)
        .await?;
    session.done(
        json,
        &answer,
        &format!("run {id} of {name} is being cancelled"),
    )
}
