//! A queue for each channel, with a clock of its own: a slow or dead target delays no other. The messages of one channel
//! keep their order. A message that fails is tried again later and later, and after three days given up; a final refusal
//! gives it up at once.

use super::parts::Delivered;
use super::send::send;
use super::{NotifierParts, SendError, open};
use crate::store::{self, Message, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The delay after the first failure; it doubles with each further one.
const FIRST_DELAY: TimeDelta = TimeDelta::seconds(30);
/// The longest delay.
const LONGEST_DELAY: TimeDelta = TimeDelta::hours(1);
/// Time after which a message is given up.
pub(super) const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(3);
/// Pause after a failure of the database.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// A channel, and the end of its sending: true if it found a message.
type ChannelEnd = (i64, Result<bool, StoreError>);

/// The queues of all channels.
#[derive(Default)]
pub(super) struct Queues {
    sending: FuturesUnordered<BoxFuture<'static, ChannelEnd>>,
    /// Channels that wait for the end of their sending, or after a failure of the database until the given time.
    held: BTreeMap<i64, Option<DateTime<Utc>>>,
}

impl Queues {
    /// Starts the channels that have due messages; returns the due time of the next one.
    pub(super) async fn start_due(&mut self, parts: &Arc<NotifierParts>) -> Option<DateTime<Utc>> {
        let now = parts.clock.now();
        let queues = match parts.store.read(store::outbox::queues).await {
            Ok(queues) => queues,
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read; trying again in a minute");
                return Some(now + AGAIN);
            }
        };
        let mut next: Option<DateTime<Utc>> = None;
        for (channel, due) in queues {
            let at = match self.held.get(&channel) {
                Some(None) => continue,
                Some(Some(until)) => due.max(*until),
                None => due,
            };
            if at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
                continue;
            }
            self.held.insert(channel, None);
            let parts = parts.clone();
            self.sending.push(Box::pin(async move {
                (channel, one_channel(&parts, channel).await)
            }));
        }
        next
    }

    /// Waits until a channel has sent its due messages.
    pub(super) async fn one_ended(&mut self, parts: &NotifierParts) {
        let Some((channel, result)) = self.sending.next().await else {
            return pending().await;
        };
        match result {
            Ok(true) => {
                self.held.remove(&channel);
                return;
            }
            // All its messages are unreadable, and the store has said so.
            Ok(false) => {}
            Err(error) => {
                tracing::error!(channel, %error, "the outbox cannot be used; trying again in a minute");
            }
        }
        self.held.insert(channel, Some(parts.clock.now() + AGAIN));
    }
}

/// Sends the due messages of a channel.
async fn one_channel(parts: &NotifierParts, channel: i64) -> Result<bool, StoreError> {
    let mut found = false;
    loop {
        let now = parts.clock.now();
        let next = parts
            .store
            .read(move |tx| store::outbox::due(tx, channel, now));
        let Some(message) = next.await? else {
            return Ok(found);
        };
        found = true;
        let sent = attempt(parts, channel, &message).await;
        let now = parts.clock.now();
        let until = now + delay(message.attempts);
        let too_late = until > message.at + GIVE_UP_AFTER;
        let failed = |error: &str, given_up: bool| {
            tracing::warn!(channel, task = message.task, occasion = message.occasion.as_str(), %error, given_up, "a notification was not sent");
        };
        match sent {
            // It cannot be taken back; at worst it is sent twice.
            Ok(Delivered { refused: None, .. }) => {
                let write =
                    move |tx: &store::Tx<'_>| store::outbox::sent(tx, message.id, None, now);
                parts.store.write(write).await?;
            }
            Ok(Delivered {
                refused: Some(error),
                again,
                some,
            }) => {
                let over = again.is_empty() || too_late;
                failed(&error, over);
                let write = move |tx: &store::Tx<'_>| match (over, some) {
                    (true, true) => store::outbox::sent(tx, message.id, Some(&error), now),
                    (true, false) => store::outbox::given_up(tx, message.id, &error, now),
                    _ => store::outbox::postpone_some(tx, message.id, &again, &error, until),
                };
                parts.store.write(write).await?;
            }
            Err(error) => {
                let over = too_late || error.is_final();
                let error = error.to_string();
                failed(&error, over);
                let write = move |tx: &store::Tx<'_>| match over {
                    true => store::outbox::given_up(tx, message.id, &error, now),
                    false => store::outbox::postpone(tx, &message, &error, until),
                };
                parts.store.write(write).await?;
                if !over {
                    // Later messages would fail, too, and come after this one in any case.
                    return Ok(true);
                }
            }
        }
    }
}

async fn attempt(
    parts: &NotifierParts,
    channel: i64,
    message: &Message,
) -> Result<Delivered, SendError> {
    let stored = parts
        .store
        .read(move |tx| store::channels::by_id(tx, channel))
        .await?;
    let target = open(&parts.secrets, &stored)?;
    send(parts, &target, message).await
}

/// The pause after `failures` attempts and one more failed.
pub(super) fn delay(failures: u32) -> TimeDelta {
    FIRST_DELAY
        .checked_mul(1 << failures.min(16))
        .map_or(LONGEST_DELAY, |delay| delay.min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_up_to_an_hour() {
        let seconds: Vec<i64> = (0..10).map(|n| delay(n).num_seconds()).collect();
        assert_eq!(
            seconds,
            [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
        );
        assert_eq!(delay(u32::MAX), LONGEST_DELAY);
    }
}
