//! News about the server itself, sent past the outbox, which cannot be written when they matter most.
//!
//! Invariant: such a message lives in memory only. It is tried again until it is sent, or three days have passed.

use super::outbox::{GIVE_UP_AFTER, delay};
use super::send::send;
use super::{Notifier, NotifierParts, open};
use crate::domain::channel::Occasion;
use crate::panics::caught_in;
use crate::store::{self, Message, StoredChannel};
use std::sync::Arc;

impl Notifier {
    /// Sends news about the server to all channels that hear of failures of all tasks.
    pub fn announce(&self, occasion: Occasion, text: String) {
        let parts = self.parts.clone();
        tokio::spawn(caught_in(async move {
            let channels = match parts.store.read(store::channels::list).await {
                Ok(channels) => channels,
                Err(error) => {
                    tracing::error!(%error, "the notification channels cannot be read");
                    return;
                }
            };
            let wanted = channels.into_iter().filter(|stored| {
                let channel = &stored.channel;
                channel.enabled && channel.wishes.failure && channel.tasks.is_none()
            });
            for channel in wanted {
                let (parts, text) = (parts.clone(), text.clone());
                tokio::spawn(caught_in(deliver(parts, channel, occasion, text)));
            }
        }));
    }
}

async fn deliver(
    parts: Arc<NotifierParts>,
    channel: StoredChannel,
    occasion: Occasion,
    text: String,
) {
    let mut message = Message {
        id: 0,
        channel: channel.id,
        occasion,
        task: String::new(),
        run: None,
        text,
        at: parts.clock.now(),
        attempts: 0,
        recipients: None,
    };
    loop {
        let sent = match open(&parts.secrets, &channel) {
            Ok(target) => send(&parts, &target, &message).await,
            Err(error) => Err(error.into()),
        };
        let Err(error) = sent else {
            return;
        };
        let now = parts.clock.now();
        let until = now + delay(message.attempts);
        let over = until > message.at + GIVE_UP_AFTER;
        let name = channel.channel.name.as_str();
        tracing::warn!(channel = name, %error, given_up = over, "a notification about the database was not sent");
        if over {
            return;
        }
        message.attempts += 1;
        parts.clock.alarm(until).await;
    }
}
