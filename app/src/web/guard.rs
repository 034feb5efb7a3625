//! Who asks, and whether they may: the first thing that happens to every request.

use super::App;
use super::error::ApiError;
use super::session::cookie_name;
use crate::secrets::token_hash;
use crate::store::{self, Principal, Role};
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// How a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The socket in the data directory. Whoever can open it can read the database and
    /// the key beside it, so asking for a password there would protect nothing.
    Socket,
    /// The network.
    Network,
}

/// What a request proved about whoever sent it.
#[derive(Debug, Clone)]
struct Caller(Option<Principal>);

/// Finds out who asks and adds the headers that every answer carries.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let answer = match identify(&app, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => error.into_response(),
    };
    secured(answer)
}

async fn identify(app: &App, request: &Parts) -> Result<Caller, ApiError> {
    if request.extensions.get::<Door>() == Some(&Door::Socket) {
        return Ok(Caller(Some(Principal {
            name: "local".to_owned(),
            role: Role::Admin,
        })));
    }
    let headers = &request.headers;
    if let Some(token) = bearer(headers) {
        let hash = token_hash(token);
        let found = app
            .store
            .read(move |tx| store::accounts::by_token(tx, &hash))
            .await?;
        return found.map(|p| Caller(Some(p))).ok_or(ApiError::Unauthorized);
    }
    let unsafe_method = !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if unsafe_method && !same_origin(headers) {
        return Err(ApiError::CrossSite);
    }
    let Some(session) = cookie(headers, cookie_name(app.transport)) else {
        return Ok(Caller(None));
    };
    let (hash, now) = (token_hash(session), app.clock.now());
    let found = app
        .store
        .read(move |tx| store::accounts::by_session(tx, &hash, now))
        .await?;
    Ok(Caller(found))
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

/// Whether a browser says that one of our own pages sent this. Every current browser
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

/// Somebody who may look.
pub(super) struct Viewer(pub(super) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<Caller>() {
            Some(Caller(Some(principal))) => Ok(Self(principal.clone())),
            _ => Err(ApiError::Unauthorized),
        }
    }
}

/// Somebody who may change things.
pub(super) struct Admin;

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Viewer(principal) = Viewer::from_request_parts(parts, state).await?;
        match principal.role {
            Role::Admin => Ok(Self),
            Role::Viewer => Err(ApiError::Forbidden),
        }
    }
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
