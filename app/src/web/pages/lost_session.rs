//! Requests of a browser whose session has ended: they lead to the login page, with the address and the form that were sent.

use super::entry::LoginPage;
use super::page::html;
use super::query::query;
use super::way_back::{LARGEST_KEPT, WayBack, is_ours};
use crate::web::caller::Caller;
use crate::web::extract;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Sends a browser without a session to the login page, with its way back.
pub(super) async fn remember(request: Request, next: Next) -> Response {
    let known = matches!(request.extensions().get(), Some(Caller(Some(_))));
    let address = request.uri().path_and_query();
    let address = address.map(ToString::to_string).unwrap_or_default();
    if known || !is_ours(&address) {
        return next.run(request).await;
    }
    if *request.method() == Method::POST {
        return keep(request, address).await;
    }
    let mut answer = next.run(request).await;
    let to_login = answer
        .headers()
        .get(header::LOCATION)
        .is_some_and(|to| to == "/login");
    if to_login && address != "/" {
        let to = format!("/login{}", query(&[("next", &address)]));
        if let Ok(to) = HeaderValue::from_str(&to) {
            answer.headers_mut().insert(header::LOCATION, to);
        }
    }
    answer
}

/// Answers a form that came without a session: the login page, which keeps the form.
async fn keep(request: Request, next: String) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_form = kind.is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    let body = match is_form {
        true => read(request.into_body()).await,
        false => None,
    };
    let lost = body.is_none();
    let page = LoginPage::after_a_session(WayBack {
        lost,
        // A button without fields is a form as well.
        kept: match body {
            None => String::new(),
            Some(body) if body.is_empty() => "again=yes".to_owned(),
            Some(body) => body,
        },
        next,
    });
    (StatusCode::UNAUTHORIZED, html(&page)).into_response()
}

async fn read(body: Body) -> Option<String> {
    let bytes = extract::read(body, LARGEST_KEPT).await.ok()?;
    String::from_utf8(bytes.to_vec()).ok()
}
