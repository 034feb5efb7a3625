//! The steps of a plan: prepared while its changes are written, started once they are committed.

use super::Parts;
use super::acts_pending::PreparedStep;
use super::command::EngineCommand;
use super::dispatcher::Dispatcher;
use super::feed::{Change, Feed, Growing, LogId};
use super::listen::Listener;
use super::plan::Plan;
use super::prepare::attempt;
use super::step_task::{StopWish, stop_wanted};
use crate::domain::figure::Figures;
use crate::domain::lifecycle::{Event, Run, RunId};
use crate::domain::outcome::Outcome;
use crate::domain::progress::Progress;
use crate::domain::step::RunRule;
use crate::panics::fatal;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Pauses between the attempts of an `always` step for which the system has no process or thread.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Least time between two reports of a step's progress.
const TELL_AGAIN: Duration = Duration::from_secs(1);

impl Dispatcher {
    pub(super) fn event(&mut self, run: RunId, event: Event) {
        let mut plan = Plan::default();
        self.apply(run, event, &mut plan);
        self.settle(plan);
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

    /// Prepares the steps of a plan. Its changes are committed beside the event loop, and then the rest is carried out.
    pub(super) fn settle(&mut self, mut plan: Plan) {
        self.grant(&mut plan);
        for id in &plan.changed {
            if let Some(active) = self.board.active.get(id) {
                self.unsaved.insert(*id, active.run.clone());
            }
        }
        // Before the next steps get their channels.
        let stops = self.channels_to_stop(&plan);
        let starts = self.prepare_steps(std::mem::take(&mut plan.starts));
        self.waiting.add(plan, starts, stops);
        self.commit();
    }

    /// The channels of the running steps that a plan stops.
    pub(super) fn channels_to_stop(&self, plan: &Plan) -> Vec<watch::Sender<StopWish>> {
        let channel = |(run, _): &(RunId, usize)| self.board.active.get(run)?.stop.clone();
        plan.stops.iter().filter_map(channel).collect()
    }

    pub(super) fn prepare_steps(&mut self, starts: Vec<(RunId, usize)>) -> Vec<PreparedStep> {
        let prepare = |(run, position)| self.prepare_step(run, position);
        starts.into_iter().filter_map(prepare).collect()
    }

    /// Prepares a step up to the moment before its command starts: that waits for the commit.
    fn prepare_step(&mut self, id: RunId, position: usize) -> Option<PreparedStep> {
        let active = self.board.active.get_mut(&id)?;
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
        let (go, committed) = oneshot::channel();
        let always = run.steps[position].step.rule == RunRule::Always;
        tokio::spawn(fatal(async move {
            let ended = tokio::select! {
                end = attempts(&parts, log, &run, committed, stopped, length, said) => end,
                never = tell(&feed, log, progress) => match never {},
            };
            feed.log_closed(log);
            let Some((outcome, figures)) = ended else {
                return;
            };
            let _ = own
                .send(EngineCommand::Ended {
                    run: id,
                    position,
                    outcome,
                    figures,
                })
                .await;
        }));
        Some(PreparedStep { always, go })
    }
}

/// Carries out one attempt of a step once it is committed; none where its run could not be written. While the system has
/// no process or thread for it, an `always` step waits and is tried again: it may be the step that brings a service back.
async fn attempts(
    parts: &Parts,
    log: LogId,
    run: &Run,
    committed: oneshot::Receiver<()>,
    mut stop: watch::Receiver<StopWish>,
    length: watch::Sender<u64>,
    said: watch::Sender<Option<Progress>>,
) -> Option<(Outcome, Figures)> {
    let mut committed = Some(committed);
    let always = run.steps[log.position].step.rule == RunRule::Always;
    let mut pause = FIRST_PAUSE;
    loop {
        let prepared = attempt(parts, log, run, stop.clone()).await;
        if let Some(committed) = committed.take() {
            committed.await.ok()?;
            if *stop.borrow() != StopWish::Continue {
                return Some((stop_wanted(&mut stop).await, Figures::default()));
            }
        }
        let ended = match prepared {
            Ok(attempt) => {
                attempt
                    .run(length.clone(), Listener::new(said.clone()))
                    .await
            }
            Err(outcome) => (outcome, Figures::default()),
        };
        let (Outcome::OutOfResources(why), true) = (&ended.0, always) else {
            return Some(ended);
        };
        tracing::warn!(
            run = run.id.0,
            step = log.position,
            why,
            "an `always` step cannot start yet; trying again"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            outcome = stop_wanted(&mut stop) => return Some((outcome, Figures::default())),
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
