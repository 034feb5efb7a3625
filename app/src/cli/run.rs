//! `lightflow run`: runs and their logs; cancel, retry and delete.

use super::client::{path, query, read};
use super::error::{CliError, notice};
use super::log::{self, LogOf};
use super::run_text;
use super::session::{JsonOption, Session, unknown};
use super::task::Force;
use super::task_run::Waiting;
use super::watch::RunWatch;
use crate::domain::lifecycle::{RunState, Trigger};
use crate::view::{CancelBody, RetryBody, RunList, RunView, StepRunView, TaskView, Triggered};
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand, value_parser};
use hyper::Method;
use std::process::ExitCode;

/// Runs: list, show, logs, cancel, retry, delete
#[derive(Debug, Subcommand)]
pub(super) enum RunCommand {
    /// List runs, newest first
    #[command(
        after_help = "Example:\n  lightflow run list --task backup_vaultwarden --limit 5\n  \
            lightflow run list --state failed --from 2026-03-01"
    )]
    List(List),
    /// Show a run and its steps
    Show(Numbered),
    /// Print the logs of a run's steps
    #[command(
        after_help = "Without STEP, the logs of all steps, each under a line with its name.\n\n\
            Examples:\n  lightflow run logs 12\n  lightflow run logs 12 sync --follow\n  \
            lightflow run logs 12 2 --attempt 1\n  lightflow run logs backup_vaultwarden"
    )]
    Logs(Logs),
    /// Cancel a run; its `always` steps still run
    Cancel {
        #[command(flatten)]
        run: Numbered,
        #[command(flatten)]
        force: Force,
    },
    /// Run the end of a run again, as a new run
    #[command(
        after_help = "The new run has the steps that the task has now. Those before STEP are not run\n\
            again, except steps with the run rule always.\n\n\
            Examples:\n  lightflow run retry 12\n  lightflow run retry 12 --from archive --wait"
    )]
    Retry(RetryRun),
    /// Delete a finished run with its logs
    #[command(alias = "clear")]
    Delete(Numbered),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Runs of this task only
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Runs in this state only
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(RunState::ALL.map(RunState::as_str)))]
    state: Option<String>,
    /// Runs with this cause only
    #[arg(long, value_name = "CAUSE", value_parser = PossibleValuesParser::new(Trigger::ALL.map(Trigger::as_str)))]
    trigger: Option<String>,
    /// Runs of this day or later, for example 2026-03-10
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Runs of this day or earlier
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// The number of runs, 1 to 500
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only runs older than this one
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    #[command(flatten)]
    json: JsonOption,
}

#[derive(Debug, Args)]
pub(super) struct Numbered {
    /// Number of the run
    #[arg(value_parser = value_parser!(i64).range(1..))]
    id: i64,
    #[command(flatten)]
    json: JsonOption,
}

#[derive(Debug, Args)]
pub(super) struct RetryRun {
    /// Number of the run
    #[arg(value_parser = value_parser!(i64).range(1..))]
    id: i64,
    /// Name or number of the step to begin with [default: the one that failed first]
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Number of the run, or a task for its last run
    #[arg(value_name = "RUN|TASK", value_parser = NonEmptyStringValueParser::new())]
    of: String,
    /// Name or number of the step
    step: Option<String>,
    /// The attempt of a step that was tried again [default: the last]
    #[arg(long, value_name = "N", requires = "step", value_parser = value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Keep printing until the step, or the run, ends
    #[arg(long, short)]
    follow: bool,
}

impl RunCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Show(run) => show(session, run).await,
            Self::Logs(logs) => logs.run(session).await,
            Self::Cancel { run, force } => {
                let (id, body) = (run.id.to_string(), CancelBody { force: force.force });
                let parts = ["runs", &id, "cancel"];
                let answer = session.send(Method::POST, &parts, &body).await?;
                session.done(run.json, &answer, &format!("run {id} is being cancelled"))
            }
            Self::Retry(retry) => retry.run(session).await,
            Self::Delete(run) => {
                let id = run.id.to_string();
                let answer = session.ask(Method::DELETE, &["runs", &id]).await?;
                session.done(run.json, &answer, &format!("run {id} deleted"))
            }
        }
    }
}

impl List {
    async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let mut pairs = vec![("limit", self.limit.to_string())];
        for (key, value) in [
            ("task", self.task),
            ("state", self.state),
            ("trigger", self.trigger),
            ("from", self.from),
            ("to", self.to),
        ] {
            pairs.extend(value.map(|value| (key, value)));
        }
        pairs.extend(self.before.map(|before| ("before", before.to_string())));
        let url = query(&path(&["runs"]), &pairs);
        let body = session.client.fetch(&url).await?;
        if self.json.json {
            session.out.json(&body)?;
            return Ok(ExitCode::SUCCESS);
        }
        let list: RunList = read(&body)?;
        if list.runs.is_empty() {
            session.out.line("no runs")?;
        } else {
            let text = run_text::list(&session.out, &session.here, &list.runs);
            session.out.text(&text)?;
        }
        if let Some(before) = list.next_before {
            notice(&format!("older runs: --before {before}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn show(mut session: Session, run: Numbered) -> Result<ExitCode, CliError> {
    let id = run.id.to_string();
    let body = session.client.fetch(&path(&["runs", &id])).await?;
    if run.json.json {
        session.out.json(&body)?;
    } else {
        let run: RunView = read(&body)?;
        let text = run_text::show(&session.out, &session.here, &run);
        session.out.text(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl RetryRun {
    async fn run(self, session: Session) -> Result<ExitCode, CliError> {
        let id = self.id.to_string();
        let from = match &self.from {
            None => None,
            Some(step) => {
                let run: RunView = session.client.get(&path(&["runs", &id])).await?;
                let names = run.steps.iter().map(|step| step.step.name.as_str());
                let position = find(names, step)?;
                run.steps.get(position).map(|step| step.step.name.clone())
            }
        };
        let body = RetryBody { from };
        let answer = session
            .send(Method::POST, &["runs", &id, "retry"], &body)
            .await?;
        let Triggered { run } = read(&answer)?;
        self.waiting.started(session, &answer, run).await
    }
}

impl Logs {
    /// The number of the run.
    async fn id(&self, session: &Session) -> Result<i64, CliError> {
        if let Ok(id) = self.of.parse() {
            return Ok(id);
        }
        let task: TaskView = session.client.get(&path(&["tasks", &self.of])).await?;
        let last = task.last_run.map(|run| run.id);
        last.ok_or_else(|| CliError::Local(format!("{} has not run yet", self.of)))
    }

    async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let id = self.id(&session).await?;
        let Some(wanted) = &self.step else {
            return self.all(session, id).await;
        };
        let url = path(&["runs", &id.to_string()]);
        let run: RunView = session.client.get(&url).await?;
        let names = run.steps.iter().map(|step| step.step.name.as_str());
        let position = find(names, wanted)?;
        let Some(step) = run.steps.get(position) else {
            return Err(unknown());
        };
        let log = LogOf {
            run: id,
            position,
            attempt: self.attempt.unwrap_or(step.attempt.max(1)),
        };
        if self.follow {
            log::follow(&mut session, log).await?;
        } else if step.attempt == 0 {
            notice(&not_started(step));
        } else {
            log::print(&mut session, log).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn all(&self, mut session: Session, id: i64) -> Result<ExitCode, CliError> {
        if self.follow {
            let mut watch = RunWatch::existing(&session.client, id).await?;
            log::follow_run(&mut session, &mut watch).await?;
            let summary = run_text::summary(&session.out, watch.run());
            session.out.line(&summary)?;
        } else {
            let url = path(&["runs", &id.to_string()]);
            let run: RunView = session.client.get(&url).await?;
            all_logs(&mut session, &run).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn all_logs(session: &mut Session, run: &RunView) -> Result<(), CliError> {
    for step in &run.steps {
        if step.attempt == 0 {
            session
                .out
                .line(&run_text::result_line(&session.out, step))?;
            continue;
        }
        for attempt in 1..=step.attempt {
            session.out.line(&log::head(step, attempt))?;
            let log = LogOf {
                run: run.id,
                position: step.position,
                attempt,
            };
            log::print(session, log).await?;
        }
        session
            .out
            .line(&run_text::result_line(&session.out, step))?;
    }
    if run.steps.is_empty() {
        notice(run.note.as_deref().unwrap_or("this run has no steps"));
    }
    Ok(())
}

fn not_started(step: &StepRunView) -> String {
    let mut text = format!(
        "{} printed nothing: {}",
        step.step.name,
        step.state.replace('_', " ")
    );
    if let Some(reason) = &step.reason {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

/// Finds a step by its name, or by its number counted from 1.
fn find<'a>(
    mut names: impl Iterator<Item = &'a str> + Clone,
    wanted: &str,
) -> Result<usize, CliError> {
    if let Some(position) = names.clone().position(|name| name == wanted) {
        return Ok(position);
    }
    let count = names.clone().count();
    if let Ok(number) = wanted.parse::<usize>()
        && (1..=count).contains(&number)
    {
        return Ok(number - 1);
    }
    let all: Vec<&str> = names.by_ref().collect();
    Err(CliError::Usage(format!(
        "there is no step {wanted:?}; the steps are {}",
        all.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_name_before_number() {
        let names = ["2", "sync"];
        let find = |wanted| find(names.into_iter(), wanted).ok();
        assert_eq!(find("2"), Some(0));
        assert_eq!(find("1"), Some(0));
        assert_eq!(find("sync"), Some(1));
        assert_eq!(find("3"), None);
    }
}
