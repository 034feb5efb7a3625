//! The boundary around each request: a panic in a handler becomes an answer with status 500, a panic in a body ends
//! that body with an error.
//!
//! Invariant: no body is polled after its end. The compression layer asks a finished body once more, for trailers;
//! the streams of logs and downloads panic then.

use super::error::ApiError;
use crate::panics::{caught, caught_in};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Answers a request even if its handler panics.
pub(super) async fn boundary(request: Request, next: Next) -> Response {
    match caught_in(next.run(request)).await {
        Ok(response) => response.map(|body| Body::new(Bounded(Some(body)))),
        Err(panicked) => ApiError::Internal(panicked.to_string()).into_response(),
    }
}

/// A body that is dropped at its end, at its first error and at a panic.
struct Bounded(Option<Body>);

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = match caught(|| Pin::new(body).poll_frame(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(frame)) => frame,
            Err(panicked) => Some(Err(axum::Error::new(panicked))),
        };
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
