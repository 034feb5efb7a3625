//! Names and passwords: the check that every login uses. Tries are counted
//! before they are made, wrong ones cost time, and who comes in is written down.

use super::App;
use super::caller::Person;
use super::error::ApiError;
use super::guard::cookie as read_cookie;
use super::login_limit::{Counter, counters};
use super::peer::Peer;
use super::session::{Lane, SESSION, cookie, device_cookie, device_cookie_name, known_device};
use crate::domain::audit::{Action, Actor, ActorKind, Deed, HIDDEN, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::names::UserName;
use crate::secrets::{random_token, token_hash};
use crate::store::{self, Account};
use crate::view::OwnPassword;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::sync::Arc;

/// A browser's proof of earlier logins.
pub(super) struct LoginAttempt {
    device: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for LoginAttempt {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Peer { secure, .. } = Peer::from_request_parts(parts, state).await?;
        let device = read_cookie(&parts.headers, device_cookie_name(secure)).map(str::to_owned);
        Ok(Self { device })
    }
}

/// Checks a name and a password.
///
/// # Errors
/// [`ApiError::WrongLogin`], or [`ApiError::SlowDown`] where there were too many wrong ones.
pub(super) async fn check(
    app: &Arc<App>,
    peer: &Peer,
    attempt: &LoginAttempt,
    name: &str,
    password: String,
) -> Result<Account, ApiError> {
    let wanted = name.to_owned();
    let account = app
        .store
        .read(move |tx| store::accounts::user(tx, &wanted))
        .await?;
    let device = attempt.device.as_deref();
    let device = device.and_then(|value| known_device(&app.secrets, value, name));
    let lane = if device.is_some() {
        Lane::Known
    } else {
        Lane::Stranger
    };
    // An unknown name could be long.
    let name: String = name.chars().take(64).collect();
    let counters = counters(&peer.client.address, &name, device);
    slow_down(app, &counters)?;
    let turn = app.passwords.turn(lane).await?;
    // Those before in the queue may have been wrong as well.
    slow_down(app, &counters)?;
    let hash = account
        .as_ref()
        .map(|account| account.password_hash.clone());
    let right = app.passwords.verify(turn, password, hash).await?;
    match account {
        Some(account) if right => {
            app.login_limit.succeeded(&counters);
            Ok(account)
        }
        account => {
            failed(app, peer, &name, account.is_some(), &counters).await?;
            Err(ApiError::WrongLogin)
        }
    }
}

/// Refuses a try that comes too early.
fn slow_down(app: &App, counters: &[Counter]) -> Result<(), ApiError> {
    match app.login_limit.wait(counters, app.clock.now()) {
        None => Ok(()),
        // Whole seconds, and not one too few.
        Some(wait) => Err(ApiError::SlowDown(
            wait.num_milliseconds().max(1).unsigned_abs().div_ceil(1000),
        )),
    }
}

/// Counts a wrong password, and writes down when it becomes many.
async fn failed(
    app: &Arc<App>,
    peer: &Peer,
    name: &str,
    exists: bool,
    counters: &[Counter],
) -> Result<(), ApiError> {
    let address = &peer.client.address;
    tracing::warn!(user = ?name, %address, "wrong user name or password");
    if app.login_limit.failed(counters, app.clock.now()) && exists {
        let stranger = Actor {
            kind: ActorKind::Stranger,
            name: String::new(),
            address: address.clone(),
        };
        let deed = Deed::new(Action::Slowed, SubjectKind::User, name);
        app.note(&stranger, deed).await?;
    }
    Ok(())
}

/// Starts a session; returns the cookies that carry it.
pub(super) async fn start_session(
    app: &Arc<App>,
    peer: &Peer,
    account: &Account,
) -> Result<[String; 2], ApiError> {
    let token = random_token()?;
    let device = device_cookie(peer.secure, &app.secrets, account.name.as_str())?;
    let (hash, id, client) = (token_hash(&token), account.id, peer.client.clone());
    let who = user(account.name.as_str(), peer);
    let name = account.name.to_string();
    app.change(&who, move |ledger| {
        let expires = ledger.now + SESSION;
        store::sessions::add(ledger, &hash, id, &client, ledger.now, expires)?;
        ledger.note(&Deed::new(Action::LoggedIn, SubjectKind::User, name))
    })
    .await?;
    Ok([cookie(peer.secure, &token), device])
}

/// The actor that a user is from now on.
pub(super) fn user(name: &str, peer: &Peer) -> Actor {
    Actor {
        kind: ActorKind::User,
        name: name.to_owned(),
        address: peer.client.address.clone(),
    }
}

/// Changes the caller's own password and ends the other sessions.
pub(super) async fn change_own_password(
    app: &Arc<App>,
    person: &Person,
    peer: &Peer,
    attempt: &LoginAttempt,
    body: OwnPassword,
) -> Result<(), ApiError> {
    let name = UserName::new(person.principal.actor.name.as_str())?;
    match check(app, peer, attempt, name.as_str(), body.current).await {
        Err(ApiError::WrongLogin) => {
            return Err(FieldError::new("current", "is not your present password").into());
        }
        other => other?,
    };
    let hash = app.passwords.hash(body.password).await?;
    let keep = person.session;
    app.change(&person.principal.actor, move |ledger| {
        store::accounts::set_password(ledger, &name, &hash, Some(keep))?;
        let hidden = || Some(HIDDEN.to_owned());
        let deed = Deed::new(Action::Changed, SubjectKind::User, name.as_str());
        ledger.note(&deed.with("password", hidden(), hidden()))
    })
    .await?;
    app.access.send_replace(());
    Ok(())
}
