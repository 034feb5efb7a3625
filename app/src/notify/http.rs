//! One POST to a webhook, ntfy, Gotify or a check; anything but a 2xx is a refusal.

use super::tls::{NetStream, connect, protect};
use super::{NotifierParts, SendError};
use crate::domain::address::HttpUrl;
use crate::domain::target::Post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;

/// Most bytes of an answer that are looked at.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Most characters of an answer that are kept.
const SHOWN: usize = 200;

/// Posts to the URL of a target.
pub(super) async fn send(
    parts: &NotifierParts,
    url: &HttpUrl,
    post: Post,
) -> Result<(), SendError> {
    let place = format!("{}:{}", url.host, url.port);
    let protocol = |why: String| SendError::Protocol {
        place: place.clone(),
        why,
    };
    let stream = connect(&url.host, url.port).await?;
    let stream: Box<dyn NetStream> = if url.secure {
        protect(stream, &url.host, url.port, &parts.authorities).await?
    } else {
        Box::new(stream)
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| protocol(error.to_string()))?;
    // It ends with the answer, or when the sender is dropped.
    tokio::spawn(connection);
    let request = build(url, post).map_err(&protocol)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| protocol(error.to_string()))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER);
    let body = body.collect().await.map(|body| body.to_bytes());
    if status.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&body.unwrap_or_default())
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect::<String>();
    Err(SendError::Refused {
        place,
        answer: format!("{status} {said}").trim().to_owned(),
        is_final: is_final(status),
    })
}

/// Reports if a target will refuse the same message again. A timeout, a lock and too many requests pass (RFC 9110,
/// RFC 4918, RFC 6585, RFC 8470).
fn is_final(status: StatusCode) -> bool {
    let passes = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::LOCKED,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_client_error() && !passes.contains(&status)
}

fn build(url: &HttpUrl, post: Post) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::new(Full::new(Bytes::from(post.body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = post
        .path
        .parse()
        .map_err(|_| "the path of the URL cannot be sent".to_owned())?;
    let headers = request.headers_mut();
    let bad = |_| "a header cannot be sent".to_owned();
    headers.insert(HOST, HeaderValue::from_str(&url.authority).map_err(bad)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(post.content_type));
    let agent = concat!("lightflow/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    let basic = url
        .login
        .as_ref()
        .map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    if let Some(value) = basic.or(post.bearer.map(|token| format!("Bearer {token}"))) {
        let mut value = HeaderValue::from_str(&value).map_err(bad)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, value) in post.headers {
        let value = HeaderValue::from_str(&value).map_err(bad)?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}
