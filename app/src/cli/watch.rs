//! Waiting for a run: subscribed first and asked second, so that nothing is missed, and
//! patient with a server that restarts meanwhile.

use super::client::{ApiClient, Body, SseEvents, path, read};
use super::error::{CliError, notice};
use crate::view::{RunView, Triggered};
use hyper::Method;
use std::time::Duration;

/// Time for which a server may be away before waiting is given up.
const AWAY: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The end of the tries.
#[derive(Debug)]
pub(super) struct Patience {
    pause: Duration,
    left: Duration,
}

impl Patience {
    /// The whole stream.
    pub(super) fn new() -> Self {
        Self {
            pause: FIRST_PAUSE,
            left: AWAY,
        }
    }

    /// Pauses after a failure, each time longer; gives the failure back in the end, and at
    /// once where it will not pass.
    pub(super) async fn pause(&mut self, error: CliError) -> Result<(), CliError> {
        if !error.may_pass() || self.left.is_zero() {
            return Err(error);
        }
        tokio::time::sleep(self.pause).await;
        self.left = self.left.saturating_sub(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// A run that is being watched.
pub(super) struct RunWatch {
    client: ApiClient,
    /// None where the connection was lost.
    events: Option<SseEvents>,
    run: RunView,
}

impl RunWatch {
    /// Starts a run of a task and watches it.
    pub(super) async fn trigger(client: &ApiClient, task: &str) -> Result<Self, CliError> {
        let events = client.events(&path(&["events"])).await?;
        let url = path(&["tasks", task, "run"]);
        let Triggered { run } = read(&client.send(Method::POST, &url, Body::Empty).await?)?;
        Self::with(client, events, run).await
    }

    /// Watches a run that is there.
    pub(super) async fn existing(client: &ApiClient, run: i64) -> Result<Self, CliError> {
        let events = client.events(&path(&["events"])).await?;
        Self::with(client, events, run).await
    }

    async fn with(client: &ApiClient, events: SseEvents, run: i64) -> Result<Self, CliError> {
        Ok(Self {
            run: get(client, run).await?,
            events: Some(events),
            client: client.clone(),
        })
    }

    /// The run as far as it is known.
    pub(super) fn run(&self) -> &RunView {
        &self.run
    }

    /// Waits until the run is as `wanted`.
    pub(super) async fn until(
        &mut self,
        wanted: impl Fn(&RunView) -> bool,
    ) -> Result<&RunView, CliError> {
        while !wanted(&self.run) {
            if let Err(error) = self.change().await {
                if !error.may_pass() {
                    return Err(error);
                }
                self.events = None;
                self.reconnect(error).await?;
            }
        }
        Ok(&self.run)
    }

    /// Waits for the next news of the run.
    async fn change(&mut self) -> Result<(), CliError> {
        loop {
            let event = match &mut self.events {
                Some(events) => events.next().await?,
                None => None,
            };
            let Some(event) = event else {
                return Err(lost());
            };
            match event.name.as_str() {
                "run" => {
                    let run: RunView = read(event.data.as_bytes())?;
                    if run.id == self.run.id {
                        self.run = run;
                        return Ok(());
                    }
                }
                // There was too much news to send everything.
                "resync" => {
                    self.run = get(&self.client, self.run.id).await?;
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    async fn reconnect(&mut self, mut error: CliError) -> Result<(), CliError> {
        let mut patience = Patience::new();
        notice("the connection to the server is lost; waiting for it to come back");
        loop {
            patience.pause(error).await?;
            match Self::existing(&self.client, self.run.id).await {
                Ok(watch) => {
                    *self = watch;
                    return Ok(());
                }
                Err(again) => error = again,
            }
        }
    }
}

async fn get(client: &ApiClient, run: i64) -> Result<RunView, CliError> {
    client.get(&path(&["runs", &run.to_string()])).await
}

/// The server ended a stream that has no end of its own.
pub(super) fn lost() -> CliError {
    CliError::Unreachable {
        place: "the address it had".to_owned(),
        why: "it closed the connection".to_owned(),
        advice: "The run itself goes on where the server does; see lightflow run list.".to_owned(),
    }
}
