//! Problems as pages, for a browser that asks for a page: at an unknown address, at the address of a form, and where the
//! first check of a request refuses it. Programs get the problem as JSON.

use super::page::problem_page;
use crate::view::Problem;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

/// Answers a browser with a page in place of a problem in JSON.
pub(in crate::web) async fn for_browsers(request: Request, next: Next) -> Response {
    let wants_page = request
        .headers()
        .get_all(header::ACCEPT)
        .into_iter()
        .any(|kinds| kinds.as_bytes().windows(9).any(|part| part == b"text/html"));
    let of_the_api = request.uri().path().starts_with("/api/");
    let answer = next.run(request).await;
    if !wants_page || of_the_api {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    match parts.extensions.remove::<Problem>() {
        None => Response::from_parts(parts, body),
        Some(problem) => {
            let page = problem_page(problem);
            for name in [header::CONTENT_ENCODING, header::CONTENT_LENGTH] {
                parts.headers.remove(name);
            }
            if let Some(kind) = page.headers().get(header::CONTENT_TYPE) {
                parts.headers.insert(header::CONTENT_TYPE, kind.clone());
            }
            Response::from_parts(parts, page.into_body())
        }
    }
}
