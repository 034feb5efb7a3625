//! Sends due messages: channels side by side, the messages of one in their order. A message that fails
//! is tried again later and later, and after three days given up.

use super::send::send;
use super::{NotifierParts, SendError, open};
use crate::store::{self, Message, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// The delay after the first failure; it doubles with each further one.
const FIRST_DELAY: TimeDelta = TimeDelta::seconds(30);
/// The longest delay.
const LONGEST_DELAY: TimeDelta = TimeDelta::hours(1);
/// Time after which a message is given up.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(3);
/// Pause after a failure of the database.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// Sends due messages; returns the due time of the next one.
pub(super) async fn send_due(parts: &NotifierParts) -> Option<DateTime<Utc>> {
    match try_all(parts).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(%error, "the outbox cannot be used; trying again in a minute");
            Some(parts.clock.now() + AGAIN)
        }
    }
}

async fn try_all(parts: &NotifierParts) -> Result<Option<DateTime<Utc>>, StoreError> {
    let now = parts.clock.now();
    let mut by_channel = BTreeMap::<i64, Vec<Message>>::new();
    for message in parts
        .store
        .read(move |tx| store::outbox::due(tx, now))
        .await?
    {
        by_channel.entry(message.channel).or_default().push(message);
    }
    let all = by_channel
        .into_iter()
        .map(|(channel, messages)| one_channel(parts, channel, messages));
    for result in join_all(all).await {
        result?;
    }
    parts.store.read(store::outbox::next_due).await
}

async fn one_channel(
    parts: &NotifierParts,
    channel: i64,
    messages: Vec<Message>,
) -> Result<(), StoreError> {
    for message in messages {
        let sent = attempt(parts, channel, &message).await;
        let now = parts.clock.now();
        let Err(error) = sent else {
            let id = message.id;
            let sent = parts
                .store
                .write(move |tx| store::outbox::sent(tx, id, now))
                .await;
            // It cannot be taken back; at worst it is sent twice.
            sent?;
            continue;
        };
        let error = error.to_string();
        let until = now + delay(message.attempts);
        let over = until > message.at + GIVE_UP_AFTER;
        tracing::warn!(channel, task = message.task, occasion = message.occasion.as_str(), %error, given_up = over, "a notification was not sent");
        parts
            .store
            .write(move |tx| {
                if over {
                    store::outbox::given_up(tx, message.id, &error, now)
                } else {
                    store::outbox::postpone(tx, &message, &error, until)
                }
            })
            .await?;
        if !over {
            // Later messages would fail, too, and come after this one in any case.
            return Ok(());
        }
    }
    Ok(())
}

async fn attempt(parts: &NotifierParts, channel: i64, message: &Message) -> Result<(), SendError> {
    let stored = parts
        .store
        .read(move |tx| store::channels::by_id(tx, channel))
        .await?;
    let target = open(&parts.secrets, &stored)?;
    send(parts, &target, message).await
}

/// The pause after `failures` attempts and one more failed.
fn delay(failures: u32) -> TimeDelta {
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
