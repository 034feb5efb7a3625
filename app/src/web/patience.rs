//! A time limit for a request's body: a client that sends it too slowly is cut off, so that a
//! handful of idle senders cannot hold connections and half-read forms for ever.

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Time limit of the next piece of a body.
const PIECE: Duration = Duration::from_secs(15);
/// Time limit of a whole body: the largest script over a slow mobile line.
const ALL: Duration = Duration::from_secs(120);

/// A body with limits on the time it takes.
pub(super) struct Patient<B> {
    body: B,
    /// Begins with the first look at the body, and again with each piece.
    piece: Option<Pin<Box<Sleep>>>,
    end: Option<Instant>,
}

impl<B> Patient<B> {
    /// Watches over `body` from the first read on.
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            piece: None,
            end: None,
        }
    }
}

impl<B> HttpBody for Patient<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.piece = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let now = Instant::now();
        let end = *self.end.get_or_insert(now + ALL);
        let limit = self
            .piece
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end.min(now + PIECE))));
        match limit.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let slow = "the body of the request came too slowly";
                Poll::Ready(Some(Err(io::Error::new(ErrorKind::TimedOut, slow).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};
    use std::convert::Infallible;

    /// A body of one byte each `every`.
    fn drips(
        count: usize,
        every: Duration,
    ) -> impl HttpBody<Data = Bytes, Error = Infallible> + Unpin {
        let pieces = futures_util::stream::unfold(count, move |left| async move {
            let left = left.checked_sub(1)?;
            tokio::time::sleep(every).await;
            Some((Ok(Frame::data(Bytes::from_static(b"x"))), left))
        });
        StreamBody::new(Box::pin(pieces))
    }

    async fn length(count: usize, every: u64) -> Result<usize, String> {
        let body = Patient::new(drips(count, Duration::from_secs(every)));
        let read = body.collect().await.map_err(|error| error.to_string())?;
        Ok(read.to_bytes().len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_coming_is_read() {
        assert_eq!(length(11, 10).await, Ok(11));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_cut_off() {
        assert!(length(2, 16).await.unwrap_err().contains("too slowly"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_without_end_is_cut_off() {
        assert!(length(1000, 1).await.unwrap_err().contains("too slowly"));
    }
}
