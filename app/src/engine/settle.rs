//! The consequences of an event: decided, committed in one write, published, and carried out.

use super::Parts;
use super::command::EngineCommand;
use super::dispatcher::Dispatcher;
use super::feed::{Change, Feed, Growing, LogId};
use super::listen::Listener;
use super::plan::Plan;
use super::prepare::attempt;
use super::step_task::{StopWish, stop_wanted};
use crate::blocking;
use crate::domain::figure::Figures;
use crate::domain::lifecycle::{Event, Run, RunId};
use crate::domain::outcome::Outcome;
use crate::domain::progress::Progress;
use crate::domain::step::RunRule;
use crate::domain::task::{Retention, TaskId};
use crate::panics::fatal;
use crate::store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Pause after which a failed write is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(5);
/// Pauses between the attempts of an `always` step for which the system has no process or thread.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Least time between two reports of a step's progress.
const TELL_AGAIN: Duration = Duration::from_secs(1);

impl Dispatcher {
    pub(super) async fn event(&mut self, run: RunId, event: Event) {
        let mut plan = Plan::default();
        self.apply(run, event, &mut plan);
        self.settle(plan).await;
    }

    /// Lets the state machine decide and notes the consequences.
    pub(super) fn apply(&mut self, id: RunId, event: Event, plan: &mut Plan) {
        let now = self.parts.clock.now();
        self.board.apply(id, event, now, plan);
    }

    /// Hands out free slots until none is free or no run waits.
    pub(super) fn grant(&mut self, plan: &mut Plan) {
        if self.closing.is_some() {
            // A run that starts now would only be stopped; the next start takes it up.
            return;
        }
        let now = self.parts.clock.now();
        self.board.grant(now, plan);
    }

    /// Commits the changes in one write, publishes them, and carries out the rest of the plan.
    pub(super) async fn settle(&mut self, mut plan: Plan) {
        self.grant(&mut plan);
        self.save(&plan).await;
        // Before it is published that a step runs, its log is there to be followed.
        for (run, position) in plan.starts {
            self.start_step(run, position);
        }
        for id in &plan.changed {
            self.publish(*id);
        }
        for id in &plan.finished {
            self.board.active.remove(id);
            self.parts.run_secrets.forget(*id);
        }
        for id in plan.stops {
            if let Some(stop) = self.board.active.get(&id).and_then(|a| a.stop.as_ref()) {
                stop.send_replace(StopWish::Cancel);
            }
        }
        for (run, position, delay) in plan.retries {
            let own = self.own.clone();
            tokio::spawn(fatal(async move {
                tokio::time::sleep(delay).await;
                let _ = own.send(EngineCommand::RetryDue { run, position }).await;
            }));
        }
    }

    pub(super) fn publish(&self, id: RunId) {
        if let Some(active) = self.board.active.get(&id) {
            self.feed.publish(Change::Run(Arc::new(active.run.clone())));
        }
    }

    /// Writes the changed runs. If that fails (a full disk) the runs continue all the
    /// same, because a stopped service has to come back; the state is written later.
    async fn save(&mut self, plan: &Plan) {
        for id in &plan.changed {
            if let Some(active) = self.board.active.get(id) {
                self.unsaved.insert(*id, active.run.clone());
            }
        }
        if self.unsaved.is_empty() && self.unsaved_audit.is_empty() {
            return;
        }
        let runs: Vec<Run> = self.unsaved.values().cloned().collect();
        let finished: Vec<(TaskId, Retention)> = plan
            .finished
            .iter()
            .filter_map(|id| self.board.active.get(id).map(|a| (a.run.task, a.retention)))
            .collect();
        let now = self.parts.clock.now();
        let audit = self.unsaved_audit.clone();
        let written = self
            .parts
            .store
            .write(move |tx| {
                for run in &runs {
                    store::runs::save(tx, run)?;
                    // Once: a run that is over is not saved again.
                    if run.state.is_final() {
                        store::alarms::run_ended(tx, run, now)?;
                        store::task_facts::run_ended(tx, run)?;
                    }
                }
                for (at, (actor, deed)) in &audit {
                    store::audit::record(tx, *at, actor, deed)?;
                }
                let mut removed = Vec::new();
                for (task, retention) in finished {
                    removed.append(&mut store::retention::prune(tx, task, retention, now)?);
                }
                Ok(removed)
            })
            .await;
        match written {
            Ok(removed) => {
                self.unsaved_audit.clear();
                // A state that was published while it could not be written is told once more, for
                // those who looked into the database meanwhile.
                for (id, run) in std::mem::take(&mut self.unsaved) {
                    if !plan.changed.contains(&id) {
                        self.feed.publish(Change::Run(Arc::new(run)));
                    }
                }
                remove_logs(&self.parts, removed);
            }
            Err(error) => {
                tracing::error!(%error, "the state of runs cannot be written; trying again");
                if !std::mem::replace(&mut self.save_pending, true) {
                    let own = self.own.clone();
                    tokio::spawn(fatal(async move {
                        tokio::time::sleep(SAVE_AGAIN).await;
                        let _ = own.send(EngineCommand::SaveAgain).await;
                    }));
                }
            }
        }
    }

    fn start_step(&mut self, id: RunId, position: usize) {
        let Some(active) = self.board.active.get_mut(&id) else {
            return;
        };
        let (stop, stopped) = watch::channel(StopWish::Continue);
        active.stop = Some(stop);
        let run = active.run.clone();
        let parts = self.parts.clone();
        let feed = self.feed.clone();
        let own = self.own.clone();
        let log = LogId {
            run: id,
            position,
            attempt: run.steps[position].attempt,
        };
        let (length, grown) = watch::channel(0);
        let (said, progress) = watch::channel(None);
        let growing = Growing {
            length: grown,
            progress: progress.clone(),
        };
        feed.log_opened(log, growing);
        tokio::spawn(fatal(async move {
            let ended = tokio::select! {
                end = attempts(&parts, log, &run, stopped, length, said) => end,
                never = tell(&feed, log, progress) => match never {},
            };
            let (outcome, figures) = ended;
            feed.log_closed(log);
            let _ = own
                .send(EngineCommand::Ended {
                    run: id,
                    position,
                    outcome,
                    figures,
                })
                .await;
        }));
    }
}

/// Carries out one attempt of a step. While the system has no process or thread for it, an `always` step waits and is
/// tried again: it may be the step that brings a service back.
async fn attempts(
    parts: &Parts,
    log: LogId,
    run: &Run,
    mut stop: watch::Receiver<StopWish>,
    length: watch::Sender<u64>,
    said: watch::Sender<Option<Progress>>,
) -> (Outcome, Figures) {
    let always = run.steps[log.position].step.rule == RunRule::Always;
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = match attempt(parts, log, run, stop.clone()).await {
            Ok(attempt) => {
                attempt
                    .run(length.clone(), Listener::new(said.clone()))
                    .await
            }
            Err(outcome) => (outcome, Figures::default()),
        };
        let (Outcome::OutOfResources(why), true) = (&ended.0, always) else {
            return ended;
        };
        tracing::warn!(
            run = run.id.0,
            step = log.position,
            why,
            "an `always` step cannot start yet; trying again"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            outcome = stop_wanted(&mut stop) => return (outcome, Figures::default()),
        }
    }
}

/// Tells everybody how far a step says it is, not more often than people can read.
async fn tell(
    feed: &Feed,
    log: LogId,
    mut progress: watch::Receiver<Option<Progress>>,
) -> std::convert::Infallible {
    while progress.changed().await.is_ok() {
        let now = progress.borrow_and_update().clone();
        if let Some(progress) = now {
            feed.publish(Change::Progress(log, progress));
        }
        tokio::time::sleep(TELL_AGAIN).await;
    }
    // The step reports no more; the caller waits for its end.
    std::future::pending().await
}

/// Removes the logs of runs that retention removed; a failure costs space, not runs.
fn remove_logs(parts: &Parts, runs: Vec<i64>) {
    if runs.is_empty() {
        return;
    }
    let logs = parts.logs.clone();
    tokio::spawn(async move {
        if let Err(error) = blocking::run(move || logs.remove_runs(runs)).await {
            tracing::warn!(%error, "the logs of removed runs stay until the next start");
        }
    });
}
