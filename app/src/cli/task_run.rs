//! `lightflow task run`: starts a run, and waits for its end if asked to.

use super::client::{path, read};
use super::error::{CliError, FAILURE, INTERRUPTED, notice};
use super::session::{JsonOption, Session};
use super::watch::RunWatch;
use super::{log, run_text};
use crate::domain::lifecycle::RunState;
use crate::domain::outcome::SKIP_EXIT_CODE;
use crate::view::Triggered;
use clap::Args;
use hyper::Method;
use std::process::ExitCode;

/// The options of a command that starts a run.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Waiting {
    /// Wait for the end and exit with the run's result
    #[arg(long)]
    wait: bool,
    /// Show the steps and their logs as they come; implies --wait
    #[arg(long, short, conflicts_with = "json")]
    follow: bool,
    /// Print the API's JSON; with --wait the finished run
    #[arg(long)]
    json: bool,
}

impl Waiting {
    /// Shows the log until the run is over.
    pub(super) const FOLLOWING: Self = Self {
        wait: true,
        follow: true,
        json: false,
    };

    fn json(self) -> JsonOption {
        JsonOption { json: self.json }
    }

    fn waits(self) -> bool {
        self.follow || self.wait
    }

    /// Reports a run that was started, or waits for its end.
    pub(super) async fn started(
        self,
        mut session: Session,
        answer: &[u8],
        run: i64,
    ) -> Result<ExitCode, CliError> {
        if !self.waits() {
            return session.done(self.json(), answer, &format!("run {run} started"));
        }
        let watch = RunWatch::existing(&session.client, run).await?;
        self.to_the_end(session, watch).await
    }

    /// Starts a run of a task.
    pub(super) async fn start(
        self,
        mut session: Session,
        task: &str,
    ) -> Result<ExitCode, CliError> {
        if !self.waits() {
            let answer = session.ask(Method::POST, &["tasks", task, "run"]).await?;
            let Triggered { run } = read(&answer)?;
            return session.done(
                self.json(),
                &answer,
                &format!("run {run} of {task} started"),
            );
        }
        let watch = RunWatch::trigger(&session.client, task).await?;
        self.to_the_end(session, watch).await
    }

    /// Waits for the end of a run and exits with its result.
    async fn to_the_end(self, mut session: Session, watch: RunWatch) -> Result<ExitCode, CliError> {
        // The caller waits for the result, also when its output is closed meanwhile.
        session.out.outlive_reader();
        let run = watch.run().id;
        tokio::select! {
            code = self.watched(session, watch) => code,
            _ = tokio::signal::ctrl_c() => {
                notice(&format!(
                    "\nrun {run} goes on; follow it with `lightflow run logs {run} --follow`, stop it with `lightflow run cancel {run}`"
                ));
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    }

    async fn watched(
        self,
        mut session: Session,
        mut watch: RunWatch,
    ) -> Result<ExitCode, CliError> {
        if !self.json {
            let run = watch.run();
            let started = format!("run {} of {} started", run.id, run.task);
            session.out.line(&started)?;
        }
        if self.follow {
            log::follow_run(&mut session, &mut watch).await?;
        }
        let run = watch.until(|run| run.finished).await?;
        if self.json {
            let id = run.id.to_string();
            let body = session.client.fetch(&path(&["runs", &id])).await?;
            session.out.json(&body)?;
        } else {
            session.out.line(&run_text::summary(&session.out, run))?;
        }
        Ok(ExitCode::from(result_code(&run.state)))
    }
}

/// The exit code that stands for a finished run.
fn result_code(state: &str) -> u8 {
    if state == RunState::Success.as_str() {
        0
    } else if state == RunState::Skipped.as_str() {
        u8::try_from(SKIP_EXIT_CODE).unwrap_or(FAILURE)
    } else {
        FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_runs_result() {
        use RunState::{Cancelled, Failed, Interrupted, Missed, Skipped, Success};
        assert_eq!(result_code(Success.as_str()), 0);
        assert_eq!(result_code(Skipped.as_str()), 75);
        for bad in [Failed, Cancelled, Interrupted, Missed] {
            assert_eq!(result_code(bad.as_str()), 1, "{bad:?}");
        }
    }
}
