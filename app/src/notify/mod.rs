//! Notifications: looks for overdue tasks, and sends the messages of the outbox.
//!
//! Nothing waits for it: messages are written with the events they are about, and one task of its
//! own sends them, each channel at its own pace. With nothing to send it sleeps until a task would be overdue.

mod announce;
mod http;
mod message;
mod outbox;
mod parts;
mod send;
mod smtp;
mod tls;
mod vault;
mod watch;

pub use parts::{Authorities, NotifierParts, SendError};
pub use vault::{open, parts as open_parts, seal};

use crate::domain::channel::Occasion;
use crate::domain::names::ChannelName;
use crate::engine::Change;
use crate::faults::{self, Place};
use crate::panics::restarted;
use crate::store::{self, Message};
use chrono::{DateTime, Utc};
use send::send;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// A handle on the notifications.
#[derive(Clone)]
pub struct Notifier {
    parts: Arc<NotifierParts>,
    wake: Arc<Notify>,
}

impl Notifier {
    /// Starts to send due messages, now and from now on.
    pub fn start(parts: NotifierParts) -> Self {
        let notifier = Self {
            parts: Arc::new(parts),
            wake: Arc::default(),
        };
        let (parts, wake) = (notifier.parts.clone(), notifier.wake.clone());
        // Subscribed here, so that no end of a run is missed before the task is first polled.
        let mut first = Some(parts.feed.subscribe());
        tokio::spawn(restarted("notifications", move || {
            let changes = first.take().unwrap_or_else(|| parts.feed.subscribe());
            work(parts.clone(), wake.clone(), changes)
        }));
        notifier
    }

    /// Says that channels were changed: waiting messages may go now.
    pub fn channels_changed(&self) {
        self.wake.notify_one();
    }

    /// Sends a test message to a channel and waits for the answer.
    ///
    /// # Errors
    /// The problem, without any secret.
    pub async fn try_out(&self, name: ChannelName) -> Result<(), SendError> {
        let parts = &self.parts;
        let stored = parts
            .store
            .read(move |tx| store::channels::get(tx, &name))
            .await?;
        let target = open(&parts.secrets, &stored)?;
        let message = Message {
            id: 0,
            channel: stored.id,
            occasion: Occasion::Test,
            task: String::new(),
            run: None,
            text: "Lightflow can reach you here.".to_owned(),
            at: parts.clock.now(),
            attempts: 0,
            recipients: None,
        };
        match send(parts, &target, &message).await?.refused {
            None => Ok(()),
            Some(who) => Err(SendError::Recipients(who)),
        }
    }
}

async fn work(parts: Arc<NotifierParts>, wake: Arc<Notify>, mut changes: Receiver<Change>) {
    let mut watch = watch::Watch::default();
    let mut queues = outbox::Queues::default();
    loop {
        faults::check(Place::Maintenance);
        let overdue = watch.look(&parts).await;
        let due = queues.start_due(&parts).await;
        let next = [overdue, due].into_iter().flatten().min();
        tokio::select! {
            () = alarm(&parts, next) => {}
            () = wake.notified() => {}
            () = queues.one_ended(&parts) => {}
            open = something_ended(&mut changes) => if !open { return },
        }
    }
}

async fn alarm(parts: &NotifierParts, next: Option<DateTime<Utc>>) {
    match next {
        Some(next) => parts.clock.alarm(next).await,
        None => pending().await,
    }
}

/// Waits until a run ended or tasks changed, and takes all there is of that at once.
async fn something_ended(changes: &mut Receiver<Change>) -> bool {
    loop {
        match changes.recv().await {
            Ok(Change::Run(run)) if !run.state.is_final() => {}
            Ok(Change::Run(_) | Change::Tasks) | Err(RecvError::Lagged(_)) => break,
            Ok(_) => {}
            Err(RecvError::Closed) => return false,
        }
    }
    while !matches!(
        changes.try_recv(),
        Err(TryRecvError::Empty | TryRecvError::Closed)
    ) {}
    true
}
