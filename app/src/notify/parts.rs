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
    /// The trusted certificate authorities, in PEM form.
    pub ca_bundle: PathBuf,
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
    },
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
    #[error("{path}: {why}; name a file of trusted certificates in SSL_CERT_FILE")]
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
