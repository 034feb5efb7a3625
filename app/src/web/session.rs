//! Logging in: passwords, session cookies and the link of the first start.

use super::error::ApiError;
use crate::blocking;
use crate::domain::field::FieldError;
use crate::secrets::{SecretError, SecretKey, random_token, token_hash};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use chrono::TimeDelta;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The life of a session.
pub(super) const SESSION: TimeDelta = TimeDelta::days(30);
/// Time for which a browser is known after a login; browsers keep no cookie longer (RFC 6265bis, 5.5).
const KNOWN_DEVICE: TimeDelta = TimeDelta::days(400);
/// Shortest password (NIST SP 800-63B asks for at least 8).
const MIN_PASSWORD: usize = 10;
/// Longest password, so that hashing has a bound.
const MAX_PASSWORD: usize = 1024;
/// The delay of a wrong password.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_secs(1);
/// Most logins of one lane that wait for their turn.
const MOST_WAITING: usize = 8;

/// Memory of one hash in KiB. With [`PASSES`] it is the value that the OWASP Password Storage Cheat
/// Sheet asks of Argon2id at least; more would not fit beside the steps of a small board.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;

fn argon2id() -> Result<Argon2<'static>, ApiError> {
    Params::new(MEMORY_KIB, PASSES, 1, None)
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        .map_err(|error| ApiError::Internal(error.to_string()))
}

/// The queue of a login. Browsers that logged in before have a lane of their
/// own, so that a flood of the other lane does not keep their owners out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A browser in which this user logged in before.
    Known,
    /// Anything else.
    Stranger,
}

#[derive(Debug)]
struct Queue {
    places: Semaphore,
    turn: Semaphore,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            places: Semaphore::new(MOST_WAITING),
            turn: Semaphore::new(1),
        }
    }
}

/// The turn to try one password.
pub(super) struct Turn<'a> {
    _turn: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

/// Checks and hashes passwords, one at a time: each takes 19 MiB for a moment. In each
/// lane guessing is bound to one try a second.
#[derive(Debug)]
pub(super) struct Passwords {
    known: Queue,
    strangers: Queue,
    hashing: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            known: Queue::default(),
            strangers: Queue::default(),
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
        let hasher = argon2id()?;
        let _turn = self.hashing.acquire().await;
        blocking::run(move || {
            hasher
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|e| ApiError::Internal(e.to_string()))
        })
        .await?
    }

    /// Waits for the turn to try a password.
    ///
    /// # Errors
    /// [`ApiError::TooManyLogins`] when many wait already.
    pub(super) async fn turn(&self, lane: Lane) -> Result<Turn<'_>, ApiError> {
        let queue = match lane {
            Lane::Known => &self.known,
            Lane::Stranger => &self.strangers,
        };
        let Ok(place) = queue.places.try_acquire() else {
            return Err(ApiError::TooManyLogins);
        };
        let turn = queue.turn.acquire().await;
        let turn = turn.map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(Turn {
            _turn: turn,
            _place: place,
        })
    }

    /// Reports if `password` belongs to `hash`; a wrong one is answered slowly. Without a
    /// hash (no such user) it takes as long.
    pub(super) async fn verify(
        &self,
        _turn: Turn<'_>,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, ApiError> {
        let right = password.len() <= MAX_PASSWORD && self.check(password, hash).await?;
        if !right {
            tokio::time::sleep(WRONG_PASSWORD_DELAY).await;
        }
        Ok(right)
    }

    async fn check(&self, password: String, hash: Option<String>) -> Result<bool, ApiError> {
        let hasher = argon2id()?;
        let _turn = self.hashing.acquire().await;
        let compare = move || match hash {
            Some(hash) => argon2::PasswordHash::new(&hash)
                .is_ok_and(|hash| hasher.verify_password(password.as_bytes(), &hash).is_ok()),
            None => {
                let _ = hasher.hash_password(password.as_bytes());
                false
            }
        };
        Ok(blocking::run(compare).await?)
    }
}

/// The link by which the first admin is made: valid once, and only until then.
#[derive(Debug)]
pub struct SetupLink(Mutex<Option<Vec<u8>>>);

impl SetupLink {
    /// No link: there is a user already.
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

    /// Reports if `token` is the link's.
    pub(super) fn matches(&self, token: &str) -> bool {
        let expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Both are hashes, so the time of comparing them tells nothing of the token.
        expected.as_deref() == Some(token_hash(token).as_slice())
    }

    /// Uses the link up; `false` where it was used already.
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
pub(super) fn cookie_name(secure: bool) -> &'static str {
    match secure {
        true => "__Host-lightflow",
        false => "lightflow",
    }
}

/// The header that sets the session cookie, or removes it where `token` is empty.
pub(super) fn cookie(secure: bool, token: &str) -> String {
    let age = if token.is_empty() {
        TimeDelta::zero()
    } else {
        SESSION
    };
    set_cookie(secure, cookie_name(secure), token, age)
}

/// The name of the cookie by which a browser is known again.
pub(super) fn device_cookie_name(secure: bool) -> &'static str {
    match secure {
        true => "__Host-lightflow-device",
        false => "lightflow-device",
    }
}

/// The header by which a browser is known again after a login of `user`. It is no credential:
/// it only keeps strangers who guess at passwords from slowing down this browser (the
/// device cookies of OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
pub(super) fn device_cookie(
    secure: bool,
    secrets: &SecretKey,
    user: &str,
) -> Result<String, SecretError> {
    let sealed = secrets.seal(DEVICE, &format!("{} {user}", random_token()?))?;
    let text: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = device_cookie_name(secure);
    Ok(set_cookie(secure, name, &text, KNOWN_DEVICE))
}

/// No variable and no channel can have this name, so nothing else opens as a device.
const DEVICE: &str = "known device";

/// The number of a browser in which `user` logged in before.
pub(super) fn known_device(secrets: &SecretKey, cookie: &str, user: &str) -> Option<String> {
    let digits = cookie.as_bytes().chunks(2);
    let sealed: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    let opened = secrets.open(DEVICE, &sealed).ok()?;
    let (number, owner) = opened.split_once(' ')?;
    (owner == user).then(|| number.to_owned())
}

fn set_cookie(secure: bool, name: &str, value: &str, age: TimeDelta) -> String {
    let secure = match secure {
        true => "; Secure",
        false => "",
    };
    let age = age.num_seconds();
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_kept_as_owasp_asks() {
        let hash = Passwords::default()
            .hash("correct-horse".to_owned())
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
    }

    #[test]
    fn a_browser_is_known_for_the_user_who_logged_in_there_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = SecretKey::load_or_create(&dir.path().join("key")).unwrap();
        let header = device_cookie(true, &secrets, "ann").unwrap();
        let value = header.split(['=', ';']).nth(1).unwrap();
        assert!(known_device(&secrets, value, "ann").is_some());
        assert_eq!(known_device(&secrets, value, "bob"), None);
        assert_eq!(known_device(&secrets, &value[2..], "ann"), None);
        assert_eq!(known_device(&secrets, "zz", "ann"), None);
    }
}
