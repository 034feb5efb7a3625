//! Carries out one attempt of one step, from its start to its outcome.

use super::capture::{self, Capture, Captured};
use super::clock::Clock;
use super::feed::LogId;
use super::leftovers;
use super::listen::Listener;
use super::log_file::LogStore;
use super::process::{Launch, Said, Supervised, Supervisors};
use super::supervisor::is_shortage;
use crate::blocking;
use crate::domain::figure::Figures;
use crate::domain::outcome::Outcome;
use crate::domain::step::Step;
use crate::libraries::StepLibraries;
use crate::secrets::Masker;
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Time for the supervisor to kill processes that ignore even SIGKILL (a process that
/// hangs in the kernel) before the step is given up.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Time for which the output may stay open after the last process of the step is gone.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The order to a running step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopWish {
    Continue,
    /// A person cancelled the run.
    Cancel,
    /// The runner goes down.
    Shutdown,
}

/// One attempt, with all it needs.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: LogId,
    pub(super) step: Step,
    pub(super) env: BTreeMap<String, String>,
    pub(super) dir: PathBuf,
    /// Keeps the packages that the step started with, until it ends.
    pub(super) _libraries: StepLibraries,
    pub(super) masker: Masker,
    /// Lines of the runner for the beginning of the log.
    pub(super) notes: Vec<String>,
    /// The supervisor that waits for this step.
    pub(super) supervisor: io::Result<Supervised>,
    pub(super) supervisors: Supervisors,
    pub(super) logs: LogStore,
    pub(super) clock: Arc<dyn Clock>,
    /// Time between asking the step to end and killing it.
    pub(super) grace: Duration,
    /// Tells when the step shall stop.
    pub(super) stop: watch::Receiver<StopWish>,
}

impl Attempt {
    /// Runs to the end; never fails, since every failure is an outcome.
    /// `length` tells the length of the log, and `listener` hears the output.
    pub(super) async fn run(
        mut self,
        length: watch::Sender<u64>,
        listener: Listener,
    ) -> (Outcome, Figures) {
        let masker = std::mem::take(&mut self.masker);
        let mut log = Captured::new(
            self.logs.create(self.id),
            masker,
            length,
            listener,
            self.clock.clone(),
        );
        log.note(&self.notes);
        if let Some(error) = log.failure() {
            tracing::error!(run = self.id.run.0, step = self.step.name.as_str(), %error, "the step runs without a log");
        }
        // Before the command starts: one that cannot be captured must not run, and be killed at once.
        let (capture, output) = match capture::start(log) {
            Ok(both) => both,
            Err(error) => {
                if let Ok(supervised) = self.supervisor {
                    self.supervisors.give_back(supervised);
                }
                let why = format!("its output cannot be captured: {error}");
                return (not_started(&error, why), Figures::default());
            }
        };
        let supervisor = std::mem::replace(&mut self.supervisor, Err(io::ErrorKind::Other.into()));
        match self.launch(supervisor, output).await {
            Ok(supervised) => self.watch(supervised, capture).await,
            Err(error) => {
                let outcome = not_started(&error, error.to_string());
                self.tell(capture, &outcome).await;
                (outcome, Figures::default())
            }
        }
    }

    async fn launch(
        &self,
        supervisor: io::Result<Supervised>,
        output: OwnedFd,
    ) -> io::Result<Supervised> {
        let mut supervised = supervisor?;
        let what = Launch {
            program: self.step.command.program(),
            args: self.step.command.args(),
            env: &self.env,
            dir: &self.dir,
            output,
        };
        supervised.launch(what).await?;
        Ok(supervised)
    }

    /// Writes why the step did not start to its log, because that is where people look.
    async fn tell(&self, mut capture: Capture, outcome: &Outcome) {
        // The pipe has no writer any more, so the capture ends by itself.
        if let Some(mut log) = capture.finished().await {
            log.note(&outcome.reason().into_iter().collect::<Vec<_>>());
            synced(log).await;
        }
    }

    async fn watch(
        mut self,
        mut supervised: Supervised,
        mut capture: Capture,
    ) -> (Outcome, Figures) {
        let limit = Duration::from_secs(u64::from(self.step.timeout_s.get()));
        let deadline = Instant::now() + limit;
        let mut state = Watching::default();
        let mut captured = None;
        let vanished = loop {
            tokio::select! {
                said = supervised.said() => match said {
                    Said::Started => {}
                    Said::Failed(why) => state.ended = Some(Outcome::CannotStart(self.explain(&why))),
                    Said::OutOfResources(why) => state.ended = Some(Outcome::OutOfResources(why)),
                    Said::Exited(code) => state.ended = Some(Outcome::Exited(code)),
                    Said::Signalled(signal) => state.ended = Some(Outcome::Signalled(signal)),
                    Said::End { killed } => { state.killed = killed; break false; }
                    Said::Vanished => break true,
                },
                done = capture.finished(), if !state.output_closed => {
                    captured = done;
                    state.output_closed = true;
                }
                () = sleep_until(deadline), if state.stopped.is_none() => {
                    let command_had_ended = state.ended.is_some();
                    state.stopped = Some(Outcome::TimedOut { limit, command_had_ended, uploading: None });
                    state.kill_at = Some(Instant::now() + self.grace);
                    supervised.terminate().await;
                }
                outcome = stop_wanted(&mut self.stop), if state.stopped.is_none() => {
                    state.stopped = Some(outcome);
                    state.kill_at = Some(Instant::now() + self.grace);
                    supervised.terminate().await;
                }
                () = at(state.kill_at), if !state.kill_sent => {
                    state.kill_sent = true;
                    supervised.kill().await;
                }
                () = at(state.kill_at.map(|t| t + KILL_PATIENCE)), if state.kill_sent => break true,
            }
            // The command is done and no process can print any more: the processes it left behind
            // without a link to the log is not part of the step.
            // Most steps leave none, and then the report of their end has come with that of the command.
            if state.ended.is_some()
                && state.output_closed
                && !state.kill_sent
                && !supervised.has_said_more()
            {
                state.kill_sent = true;
                state.kill_at = Some(Instant::now());
                supervised.kill().await;
            }
        };
        let mut how = String::new();
        if !vanished {
            self.supervisors.give_back(supervised);
        } else {
            how = supervised.close().await;
            let (run, data) = (self.id.run, self.env.get("LIGHTFLOW_DATA_DIR").cloned());
            let killed = blocking::run(move || leftovers::kill(run, &data.unwrap_or_default()));
            state.killed += killed.await.unwrap_or(0);
        }
        if !state.output_closed {
            // No process of the step is left, so a process that still holds the pipe is not part
            // of the step; the printed bytes are read, and no more are waited for.
            captured = match timeout(LAST_WORDS, capture.finished()).await {
                Ok(captured) => captured,
                Err(_) => {
                    capture.stop();
                    capture.finished().await
                }
            };
        }
        if let (Some(Outcome::TimedOut { uploading, .. }), Some(log)) =
            (&mut state.stopped, &captured)
        {
            *uploading = log.upload();
        }
        let (outcome, notes) = state.verdict(vanished, how);
        let mut figures = Figures::default();
        if let Some(mut log) = captured {
            figures = log.figures();
            log.note(&notes);
            let Some(log) = synced(log).await else {
                return (outcome, figures);
            };
            if let Some(error) = log.failure() {
                tracing::error!(run = self.id.run.0, step = self.step.name.as_str(), %error, "the step's log is not complete");
            }
        }
        (outcome, figures)
    }

    fn explain(&self, why: &str) -> String {
        let program = self.step.command.program();
        let path = self.env.get("PATH").map_or("", String::as_str);
        if program.contains('/') {
            format!("{program}: {why}")
        } else {
            format!("{program}: {why} (looked in PATH {path})")
        }
    }
}

/// Puts the last lines of a log on the disk, on a thread of its own: the disk may be slow. Where there is no thread the
/// log is written by the kernel later.
async fn synced(mut log: Captured) -> Option<Captured> {
    if log.is_synced() {
        return Some(log);
    }
    let work = move || {
        log.sync();
        log
    };
    match blocking::run(work).await {
        Ok(log) => Some(log),
        Err(error) => {
            tracing::warn!(%error, "the log of a step is not on the disk yet");
            None
        }
    }
}

fn not_started(error: &io::Error, why: String) -> Outcome {
    if is_shortage(error) {
        Outcome::OutOfResources(why)
    } else {
        Outcome::CannotStart(why)
    }
}

#[derive(Debug, Default)]
struct Watching {
    /// The end of the command itself.
    ended: Option<Outcome>,
    /// The reason why we stopped it, if we did.
    stopped: Option<Outcome>,
    output_closed: bool,
    kill_at: Option<Instant>,
    kill_sent: bool,
    killed: usize,
}

impl Watching {
    /// The outcome, and its line in the log.
    fn verdict(self, vanished: bool, how: String) -> (Outcome, Vec<String>) {
        let outcome = match (self.stopped, self.ended) {
            (Some(stopped), _) => stopped,
            (None, Some(ended)) => ended,
            (None, None) => Outcome::Lost(how),
        };
        let mut notes = Vec::new();
        if !matches!(outcome, Outcome::Exited(_)) {
            notes.extend(outcome.reason());
        }
        if self.killed > 0 {
            notes.push(format!(
                "killed {} process(es) that the step had left running",
                self.killed
            ));
        }
        if vanished && !matches!(outcome, Outcome::Lost(_)) {
            notes.push("some of its processes could not be killed".to_owned());
        }
        (outcome, notes)
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Waits for the order to stop and tells the outcome that it gives to the step; for ever if its sender is gone.
pub(super) async fn stop_wanted(stop: &mut watch::Receiver<StopWish>) -> Outcome {
    let wish = stop.wait_for(|wish| *wish != StopWish::Continue).await;
    let Ok(wish) = wish.map(|wish| *wish) else {
        return pending().await;
    };
    match wish {
        StopWish::Shutdown => Outcome::Interrupted,
        StopWish::Cancel | StopWish::Continue => Outcome::Cancelled,
    }
}
