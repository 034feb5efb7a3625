//! Notifications: looks for tasks that are overdue, and sends what the outbox holds.
//!
//! Nothing waits for it: messages are written with what they are about, and one task of its
//! own sends them. With nothing to send it sleeps until a task would be overdue.

mod http;
mod message;
mod outbox;
mod smtp;
mod tls;
mod vault;
mod watch;

pub use vault::{open, parts as open_parts, seal};

use crate::domain::channel::Occasion;
use crate::domain::names::ChannelName;
use crate::domain::target::Target;
use crate::engine::{Change, Clock, Feed};
use crate::faults::{self, Place};
use crate::panics::{Panicked, caught_in, restarted};
use crate::secrets::{SecretError, SecretKey};
use crate::setting::Setting;
use crate::store::{self, Message, Store, StoreError};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// What notifications are built from.
#[derive(Clone)]
pub struct Parts {
    /// Channels and outbox.
    pub store: Store,
    /// Opens targets.
    pub secrets: Arc<SecretKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tells when runs end and tasks change.
    pub feed: Feed,
    /// The zone of tasks that name none.
    pub zone: Setting<Tz>,
    /// Address under which people reach the server, for links; without a slash at the end.
    pub base_url: Setting<String>,
    /// The authorities whose certificates are trusted, in PEM form.
    pub ca_bundle: PathBuf,
}

/// Why a notification was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The other side cannot be reached.
    #[error("cannot connect to {place}: {why}")]
    Connect {
        /// Host and port.
        place: String,
        /// What the system says.
        why: String,
    },
    /// The other side answered, and did not take it.
    #[error("{place} refused it: {answer}")]
    Refused {
        /// Host and port.
        place: String,
        /// What it said.
        answer: String,
    },
    /// The other side does not speak as it should.
    #[error("{place} does not understand us: {why}")]
    Protocol {
        /// Host and port.
        place: String,
        /// What was unexpected.
        why: String,
    },
    /// It took too long.
    #[error("it took longer than {0} seconds")]
    TimedOut(u64),
    /// The authorities cannot be read.
    #[error("{path}: {why}; name a file of trusted certificates in SSL_CERT_FILE")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The message could not be put together or sent because of a fault in this program.
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// The target cannot be opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A handle on the notifications.
#[derive(Clone)]
pub struct Notifier {
    parts: Arc<Parts>,
    wake: Arc<Notify>,
}

impl Notifier {
    /// Starts sending what is due, now and from now on.
    pub fn start(parts: Parts) -> Self {
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

    /// Says that channels were changed: what waits may go now.
    pub fn channels_changed(&self) {
        self.wake.notify_one();
    }

    /// Sends a test message to a channel and waits for the answer.
    ///
    /// # Errors
    /// What went wrong, without any secret.
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
        };
        send(parts, &target, &message).await
    }
}

async fn work(parts: Arc<Parts>, wake: Arc<Notify>, mut changes: Receiver<Change>) {
    let mut watch = watch::Watch::default();
    loop {
        faults::check(Place::Maintenance);
        let overdue = watch.look(&parts).await;
        let due = outbox::send_due(&parts).await;
        let next = [overdue, due].into_iter().flatten().min();
        tokio::select! {
            () = alarm(&parts, next) => {}
            () = wake.notified() => {}
            open = something_ended(&mut changes) => if !open { return },
        }
    }
}

async fn alarm(parts: &Parts, next: Option<DateTime<Utc>>) {
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

/// Sends one message; the text of a failure holds no secret of the target. A panic is a failure like others, so that
/// one message cannot keep back those of other channels.
async fn send(parts: &Parts, target: &Target, message: &Message) -> Result<(), SendError> {
    caught_in(deliver(parts, target, message)).await?
}

async fn deliver(parts: &Parts, target: &Target, message: &Message) -> Result<(), SendError> {
    faults::check(Place::Notification);
    let limit = std::time::Duration::from_secs(PATIENCE_S);
    let base_url = parts.base_url.get();
    let sent = match target {
        Target::Email(email) => {
            let text = message::mail(email, message, &base_url);
            tokio::time::timeout(limit, smtp::send(parts, email, &text)).await
        }
        _ => {
            let request = message::request(target, message, &base_url);
            tokio::time::timeout(limit, http::send(parts, target, request)).await
        }
    };
    match sent {
        Ok(result) => result.map_err(|error| without_secrets(error, target)),
        Err(_) => Err(SendError::TimedOut(PATIENCE_S)),
    }
}

/// How long one attempt may take.
const PATIENCE_S: u64 = 30;

/// Another server's answer may repeat what it was sent.
fn without_secrets(error: SendError, target: &Target) -> SendError {
    let hide = |text: String| {
        let mut text = text;
        for secret in target.secrets() {
            text = text.replace(secret, "••••");
        }
        text
    };
    match error {
        SendError::Connect { place, why } => SendError::Connect {
            place,
            why: hide(why),
        },
        SendError::Refused { place, answer } => SendError::Refused {
            place,
            answer: hide(answer),
        },
        SendError::Protocol { place, why } => SendError::Protocol {
            place,
            why: hide(why),
        },
        other => other,
    }
}
