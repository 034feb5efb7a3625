//! Logging in: passwords, session cookies and the link of the first start.

use super::error::ApiError;
use crate::config::Transport;
use crate::domain::field::FieldError;
use crate::secrets::{SecretError, random_token, token_hash};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use chrono::TimeDelta;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a session lasts.
pub(super) const SESSION: TimeDelta = TimeDelta::days(30);
/// Shortest password (NIST SP 800-63B asks for at least 8).
const MIN_PASSWORD: usize = 10;
/// Longest password, so that hashing has a bound.
const MAX_PASSWORD: usize = 1024;
/// What a wrong password costs whoever tries.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_secs(1);

/// Most logins that wait for their turn.
const MOST_WAITING: usize = 8;

/// Checks and hashes passwords, one at a time: each takes 19 MiB for a moment, and
/// guessing is bound to one try a second.
#[derive(Debug)]
pub(super) struct Passwords {
    waiting: Semaphore,
    verifying: Semaphore,
    hashing: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(MOST_WAITING),
            verifying: Semaphore::new(1),
            hashing: Semaphore::new(1),
        }
    }
}

impl Passwords {
    /// The Argon2id hash of a new password.
    pub(super) async fn hash(&self, password: String) -> Result<String, ApiError> {
        if password.chars().count() < MIN_PASSWORD {
            return Err(FieldError::new(
                "password",
                format!("is too short; use at least {MIN_PASSWORD} characters"),
            )
            .into());
        }
        if password.len() > MAX_PASSWORD {
            return Err(FieldError::new(
                "password",
                format!("is longer than {MAX_PASSWORD} bytes"),
            )
            .into());
        }
        let _turn = self.hashing.acquire().await;
        blocking(move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|e| ApiError::Internal(e.to_string()))
        })
        .await?
    }

    /// Whether `password` belongs to `hash`; a wrong one is answered slowly. Without a
    /// hash (no such user) it takes as long.
    ///
    /// # Errors
    /// [`ApiError::TooManyLogins`] when many wait already.
    pub(super) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, ApiError> {
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(ApiError::TooManyLogins);
        };
        let _turn = self.verifying.acquire().await;
        let right = password.len() <= MAX_PASSWORD
            && blocking(move || match hash {
                Some(hash) => argon2::PasswordHash::new(&hash).is_ok_and(|hash| {
                    Argon2::default()
                        .verify_password(password.as_bytes(), &hash)
                        .is_ok()
                }),
                None => {
                    let _ = Argon2::default().hash_password(password.as_bytes());
                    false
                }
            })
            .await?;
        if !right {
            tokio::time::sleep(WRONG_PASSWORD_DELAY).await;
        }
        Ok(right)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))
}

/// The link by which the first admin is made: valid once, and only until then.
#[derive(Debug)]
pub struct SetupLink(Mutex<Option<Vec<u8>>>);

impl SetupLink {
    /// No link: somebody can log in already.
    pub fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// A new link; returns its token, which is shown once.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn new() -> Result<(Self, String), SecretError> {
        let token = random_token()?;
        Ok((Self(Mutex::new(Some(token_hash(&token)))), token))
    }

    /// Whether `token` is the link's.
    pub(super) fn matches(&self, token: &str) -> bool {
        let expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Both are hashes, so the time of comparing them tells nothing of the token.
        expected.as_deref() == Some(token_hash(token).as_slice())
    }

    /// Uses the link up; `false` where somebody was faster.
    pub(super) fn use_up(&self, token: &str) -> bool {
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let right = expected.as_deref() == Some(token_hash(token).as_slice());
        if right {
            *expected = None;
        }
        right
    }
}

/// The name of the session cookie. With TLS it has the prefix that makes browsers
/// refuse it from anywhere but this very host (RFC 6265bis, 4.1.3.2).
pub(super) fn cookie_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tls => "__Host-lightflow",
        Transport::Plain => "lightflow",
    }
}

/// The header that sets the session cookie, or removes it where `token` is empty.
pub(super) fn cookie(transport: Transport, token: &str) -> String {
    let name = cookie_name(transport);
    let secure = match transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    let age = if token.is_empty() {
        0
    } else {
        SESSION.num_seconds()
    };
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}
