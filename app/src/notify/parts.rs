//! The parts from which notifications are built, and the reasons why one is not sent.

use crate::engine::{Clock, Feed};
use crate::panics::Panicked;
use crate::secrets::{SecretError, SecretKey};
use crate::setting::Setting;
use crate::store::{Store, StoreError};
use crate::zones::Zone;
use std::path::PathBuf;
use std::sync::Arc;

/// The parts of the notifications.
#[derive(Clone)]
pub struct NotifierParts {
    /// Channels and outbox.
    pub store: Store,
    /// Opens targets.
    pub secrets: Arc<SecretKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tells when runs end and tasks change.
    pub feed: Feed,
    /// The zone of tasks that name none.
    pub zone: Setting<Zone>,
    /// Address under which people reach the server, for links; without a slash at the end.
    pub base_url: Setting<String>,
    /// The trusted certificate authorities.
    pub authorities: Authorities,
}

/// Files of certificates in PEM form.
#[derive(Debug, Clone)]
pub struct Authorities {
    /// The authorities of the system.
    pub system: PathBuf,
    /// Authorities, and certificates of single servers, that the administrator adds.
    pub named: Option<PathBuf>,
}

/// The result of a message that was handed over, perhaps not to all recipients.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// The recipients that did not get it, with the answers of the mail server.
    pub(super) refused: Option<String>,
    /// Those of them that can get it later.
    pub(super) again: Vec<String>,
    /// True if any recipient got it, now or before.
    pub(super) some: bool,
}

/// The reasons why a notification is not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The other side cannot be reached.
    #[error("cannot connect to {place}: {why}")]
    Connect {
        /// Host and port.
        place: String,
        /// The system's words.
        why: String,
    },
    /// The other side answered, and did not take it.
    #[error("{place} refused it: {answer}")]
    Refused {
        /// Host and port.
        place: String,
        /// Its answer.
        answer: String,
        /// Its answer to the same message will never be another one.
        is_final: bool,
    },
    /// A mail server does not take the mail for these recipients.
    #[error("not for all recipients: {0}")]
    Recipients(String),
    /// The other side does not speak as it should.
    #[error("{place} does not understand us: {why}")]
    Protocol {
        /// Host and port.
        place: String,
        /// The unexpected answer.
        why: String,
    },
    /// It took too long.
    #[error("it took longer than {0} seconds")]
    TimedOut(u64),
    /// The authorities cannot be read.
    #[error("{path}: {why}; SSL_CERT_FILE names a file of further trusted certificates")]
    Authorities {
        /// The file.
        path: String,
        /// The problem.
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

impl SendError {
    /// Reports if another attempt would end in the same way.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { is_final: true, .. })
    }
}
