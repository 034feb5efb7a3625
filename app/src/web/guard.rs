//! The caller of a request and its permission: the first check of every request.

use super::App;
use super::caller::{Caller, Credential, Known};
use super::error::ApiError;
use super::peer::{Door, Peer};
use super::session::cookie_name;
use crate::domain::audit::{Actor, ActorKind};
use crate::secrets::token_hash;
use crate::store::{self, Principal, Role, StoreError, Tx};
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of a body that are read before the handler runs.
const SMALL_BODY: usize = 16 * 1024;
/// Time after which a stream checks its credential again.
const A_DAY: TimeDelta = TimeDelta::days(1);
/// Largest age of the noted last use of a session or token: each note costs a write.
const NOTED: TimeDelta = TimeDelta::minutes(5);

/// Finds out who asks and adds the headers that every answer carries.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let answer = match identify(&app, &parts).await {
        Ok((peer, known)) => {
            let credential = known.as_ref().map(|known| known.credential.clone());
            parts.extensions.insert(peer);
            parts.extensions.insert(Caller(known));
            let body = match whole(&parts, body).await {
                Ok(body) => body,
                Err(error) => return secured(error.into_response()),
            };
            let answer = next.run(Request::from_parts(parts, body)).await;
            match credential {
                Some(credential) => leash(app, credential, answer),
                None => answer,
            }
        }
        Err(error) => error.into_response(),
    };
    secured(answer)
}

/// A small body, read before the handler answers. Otherwise the answer to a request whose handler reads no body closes
/// the connection, and a client that sends its body a moment later gets an error although the run started.
async fn whole(parts: &Parts, body: Body) -> Result<Body, ApiError> {
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(length) if (1..=SMALL_BODY).contains(&length) => {
            Ok(Body::from(super::extract::read(body, SMALL_BODY).await?))
        }
        _ => Ok(body),
    }
}

async fn identify(app: &Arc<App>, request: &Parts) -> Result<(Peer, Option<Known>), ApiError> {
    let headers = &request.headers;
    // A request without a door came from outside.
    let door = request.extensions.get::<Door>().copied();
    let door = door.unwrap_or(Door::Network(None));
    let peer = Peer::new(door, headers, &app.proxy, app.transport)?;
    let credential = if door == Door::Local {
        Some(Credential::Local)
    } else if let Some(token) = bearer(headers) {
        let hash = token_hash(token);
        Some(Credential::Token { hash })
    } else {
        let unsafe_method = !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let credential = match &peer.user {
            Some(user) => Some(Credential::Proxy { user: user.clone() }),
            None => cookie(headers, cookie_name(peer.secure)).map(|secret| Credential::Session {
                id: 0,
                hash: token_hash(secret),
            }),
        };
        // A program that sends no credential to the API gets 401. A form of another site is refused without one, too: it
        // could log its victim in as somebody else.
        let harmless = credential.is_none() && request.uri.path().starts_with("/api/");
        if unsafe_method && !same_origin(headers) && !harmless {
            return Err(ApiError::CrossSite);
        }
        credential
    };
    let Some(credential) = credential else {
        return Ok((peer, None));
    };
    let known = look_up(app, credential.clone(), &peer).await?;
    match (&credential, &known) {
        (Credential::Token { .. }, None) => {
            app.note_wrong_token(&peer.client.address);
            Err(ApiError::Unauthorized)
        }
        (Credential::Proxy { user }, None) => Err(ApiError::UnknownAtProxy(user.clone())),
        _ => Ok((peer, known)),
    }
}

/// The identity behind a credential that is still valid.
async fn look_up(
    app: &Arc<App>,
    credential: Credential,
    peer: &Peer,
) -> Result<Option<Known>, ApiError> {
    let now = app.clock.now();
    let address = peer.client.address.clone();
    let actor = |kind, name: String| Actor {
        kind,
        name,
        address: address.clone(),
    };
    let known = match credential {
        Credential::Local => Some(Known {
            principal: Principal {
                actor: actor(ActorKind::Local, "local".to_owned()),
                role: Role::Admin,
                tasks: None,
            },
            credential: Credential::Local,
        }),
        Credential::Token { hash } => {
            let (wanted, from) = (hash.clone(), address.clone());
            let find = move |tx: &Tx<'_>| store::tokens::by_hash(tx, &wanted, now);
            let found = app.store.read(find).await?;
            if let Some(token) = found.as_ref().filter(|token| {
                let info = &token.info;
                info.used_at.is_none_or(|at| at + NOTED < now) || info.used_from != from
            }) {
                let id = token.id;
                note_use(app, move |tx| store::tokens::touch(tx, id, &from, now));
            }
            found.map(|token| Known {
                principal: Principal {
                    actor: actor(ActorKind::Token, token.info.name.to_string()),
                    ..token.principal()
                },
                credential: Credential::Token { hash },
            })
        }
        Credential::Session { hash, .. } => {
            let wanted = hash.clone();
            let find = move |tx: &Tx<'_>| store::sessions::by_hash(tx, &wanted, now);
            let found = app.store.read(find).await?;
            if let Some(session) = found
                .as_ref()
                .filter(|one| one.info.seen_at + NOTED < now || one.info.client != peer.client)
            {
                let (id, client) = (session.info.id, peer.client.clone());
                note_use(app, move |tx| store::sessions::touch(tx, id, &client, now));
            }
            found.map(|session| Known {
                credential: Credential::Session {
                    id: session.info.id,
                    hash,
                },
                principal: Principal {
                    actor: actor(ActorKind::User, session.info.user.to_string()),
                    ..session.principal
                },
            })
        }
        Credential::Proxy { user } => {
            let wanted = user.clone();
            let find = move |tx: &Tx<'_>| store::accounts::user(tx, &wanted);
            app.store.read(find).await?.map(|account| Known {
                principal: Principal {
                    actor: actor(ActorKind::User, account.name.to_string()),
                    role: account.role,
                    tasks: None,
                },
                credential: Credential::Proxy { user },
            })
        }
    };
    Ok(known)
}

/// Notes the last use beside the request, which does not wait for the disk.
fn note_use<F>(app: &Arc<App>, work: F)
where
    F: FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
{
    let store = app.store.clone();
    tokio::spawn(async move {
        if let Err(error) = store.write(work).await {
            tracing::warn!(%error, "cannot note the last use of a session or token");
        }
    });
}

/// Ties a live stream to its credential: it ends when the credential is revoked or expires.
fn leash(app: Arc<App>, credential: Credential, answer: Response) -> Response {
    let live = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !live || credential == Credential::Local {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let body = body
        .into_data_stream()
        .take_until(Box::pin(revoked(app, credential)));
    Response::from_parts(parts, Body::from_stream(body))
}

/// Waits until a credential is no longer good.
async fn revoked(app: Arc<App>, credential: Credential) {
    let mut changes = app.access.subscribe();
    loop {
        let (until, valid) = match still_good(&app, &credential).await {
            Ok(found) => found,
            // The database will be asked again; a stream is not cut for its failure.
            Err(error) => {
                tracing::warn!(%error, "cannot check a session or token");
                (None, true)
            }
        };
        if !valid {
            return;
        }
        let left = until.map_or(A_DAY, |until| (until - app.clock.now()).min(A_DAY));
        // A little later, so that it is over when it is asked for.
        let left = left.to_std().unwrap_or_default() + Duration::from_millis(10);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// The expiry of a credential, and its validity now.
async fn still_good(
    app: &App,
    credential: &Credential,
) -> Result<(Option<DateTime<Utc>>, bool), StoreError> {
    let (credential, now) = (credential.clone(), app.clock.now());
    app.store
        .read(move |tx| {
            Ok(match credential {
                Credential::Local => (None, true),
                Credential::Session { hash, .. } => {
                    let found = store::sessions::by_hash(tx, &hash, now)?;
                    (found.as_ref().map(|s| s.info.expires_at), found.is_some())
                }
                Credential::Token { hash } => {
                    let found = store::tokens::by_hash(tx, &hash, now)?;
                    let until = found.as_ref().and_then(|token| token.info.expires_at);
                    (until, found.is_some())
                }
                Credential::Proxy { user } => (None, store::accounts::user(tx, &user)?.is_some()),
            })
        })
        .await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
        .filter(|value| !value.is_empty())
}

/// Reports if a browser says that one of our own pages sent this. Every current browser
/// sends `Sec-Fetch-Site` or `Origin` with a request that changes something; one that
/// sends neither is refused rather than trusted.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = text("origin").and_then(|o| o.split_once("://"));
    match (origin, text("host")) {
        (Some((_, origin)), Some(host)) => origin == host,
        _ => false,
    }
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed: [(_, &'static str); 6] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not no-referrer: a form would then say Origin: null, which proves nothing.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(k, v)| {
                let name = header::HeaderName::from_static(k);
                (name, HeaderValue::from_static(v))
            })
            .collect()
    }

    #[test]
    fn only_our_own_pages_may_change_things() {
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!same_origin(&headers(&[("sec-fetch-site", site)])));
        }
        assert!(same_origin(&headers(&[
            ("origin", "https://a:8443"),
            ("host", "a:8443")
        ])));
        assert!(!same_origin(&headers(&[
            ("origin", "https://b"),
            ("host", "a:8443")
        ])));
        assert!(!same_origin(&headers(&[
            ("origin", "null"),
            ("host", "a:8443")
        ])));
        assert!(!same_origin(&headers(&[("host", "a:8443")])));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let h = headers(&[("cookie", "a=1; __Host-lightflow=abc; lightflow2=x")]);
        assert_eq!(cookie(&h, "__Host-lightflow"), Some("abc"));
        assert_eq!(cookie(&h, "lightflow"), None);
    }
}
