//! Sending one message to one target, within a time limit.

use super::parts::{Delivered, NotifierParts, SendError};
use super::{http, message, smtp};
use crate::domain::target::Target;
use crate::faults::{self, Place};
use crate::panics::caught_in;
use crate::store::Message;

/// Sends one message; the text of a failure holds no secret of the target. A panic is a failure like others, so that
/// one message cannot keep back those of other channels.
pub(super) async fn send(
    parts: &NotifierParts,
    target: &Target,
    message: &Message,
) -> Result<Delivered, SendError> {
    caught_in(deliver(parts, target, message)).await?
}

async fn deliver(
    parts: &NotifierParts,
    target: &Target,
    message: &Message,
) -> Result<Delivered, SendError> {
    faults::check(Place::Notification);
    let limit = std::time::Duration::from_secs(PATIENCE_S);
    let base_url = parts.base_url.get();
    let sent = match target {
        Target::Email(email) => {
            let text = message::mail(email, message, &base_url);
            let to = match &message.recipients {
                Some(addresses) => addresses.clone(),
                None => email.to.iter().map(|to| to.as_str().to_owned()).collect(),
            };
            let sent = tokio::time::timeout(limit, smtp::send(parts, email, &to, &text)).await;
            sent.map(|sent| {
                let mut sent = sent?;
                sent.some |= message.recipients.is_some();
                Ok(sent)
            })
        }
        Target::Http(target) => {
            let post = target.post(&message::news(message, &base_url));
            let sent = tokio::time::timeout(limit, http::send(parts, &target.url, post)).await;
            sent.map(|sent| sent.map(|()| Delivered::default()))
        }
    };
    match sent {
        Ok(result) => result
            .map(|mut delivered| {
                delivered.refused = delivered.refused.map(|text| hide(target, text));
                delivered
            })
            .map_err(|error| without_secrets(error, target)),
        Err(_) => Err(SendError::TimedOut(PATIENCE_S)),
    }
}

/// Time limit of one attempt.
const PATIENCE_S: u64 = 30;

/// Another server's answer may repeat the request.
fn without_secrets(error: SendError, target: &Target) -> SendError {
    let hide = |text: String| hide(target, text);
    match error {
        SendError::Connect { place, why } => SendError::Connect {
            place,
            why: hide(why),
        },
        SendError::Refused {
            place,
            answer,
            is_final,
        } => SendError::Refused {
            place,
            answer: hide(answer),
            is_final,
        },
        SendError::Protocol { place, why } => SendError::Protocol {
            place,
            why: hide(why),
        },
        other => other,
    }
}

fn hide(target: &Target, mut text: String) -> String {
    for secret in target.secrets() {
        text = text.replace(secret, "••••");
    }
    text
}
