//! Server-sent events: changes, and logs that grow.

use super::App;
use super::caller::Watcher;
use super::error::ApiError;
use super::log_stream::{LogPiece, follow};
use super::log_text::whole_characters;
use crate::engine::{Change, LogId};
use crate::view::{LogChunk, LogEnd, LogGap, Problem, ProgressView, RunView, TimeMark};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Proxies and mobile networks cut connections that are silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A stream, and the header that keeps nginx from holding it back.
type Events = (
    [(&'static str, &'static str); 1],
    Sse<
        axum::response::sse::KeepAliveStream<
            std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>,
        >,
    >,
);

fn stream(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Events {
    let events: std::pin::Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(events);
    (
        [("x-accel-buffering", "no")],
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)),
    )
}

/// Everything that changes from now on.
pub(super) fn changes(watcher: Watcher) -> Events {
    let feed = watcher.engine.feed().subscribe();
    let hello = futures_util::stream::iter([Ok(json_event("hello", &Empty {}))]);
    let heard = BTreeSet::new();
    let changes = unfold(
        (feed, watcher, heard),
        |(mut feed, watcher, mut heard)| async move {
            let event = loop {
                break match feed.recv().await {
                    Ok(Change::Run(run)) if !watcher.sees(run.task) => continue,
                    Ok(Change::Run(run)) => {
                        if run.state.is_final() {
                            heard.remove(&run.id);
                        } else {
                            heard.insert(run.id);
                        }
                        json_event("run", &RunView::from(run.as_ref()))
                    }
                    // It does not say of which task it is.
                    Ok(Change::Progress(log, _))
                        if watcher.principal.tasks.is_some() && !heard.contains(&log.run) =>
                    {
                        continue;
                    }
                    Ok(Change::Progress(log, progress)) => {
                        json_event("progress", &ProgressView::new(log, progress))
                    }
                    Ok(Change::Tasks) => json_event("tasks", &Empty {}),
                    Ok(Change::Pools) => json_event("pools", &Empty {}),
                    Ok(Change::Variables) => json_event("variables", &Empty {}),
                    Ok(Change::Scripts) => json_event("scripts", &Empty {}),
                    // Too slow for everything: the listener asks for everything again.
                    Err(RecvError::Lagged(_)) => json_event("resync", &Empty {}),
                    Err(RecvError::Closed) => return None,
                };
            };
            Some((Ok(event), (feed, watcher, heard)))
        },
    );
    stream(hello.chain(changes))
}

/// A log from `offset` on. Each event's id is the offset after it, so that a browser
/// which reconnects continues exactly there.
pub(super) fn log(app: Arc<App>, id: LogId, offset: u64) -> Events {
    let mut text = HeldText::default();
    let parts = follow(app, id, offset)
        .flat_map(move |part| futures_util::stream::iter(text.events(part).into_iter().map(Ok)));
    stream(parts)
}

/// Turns bytes into text without cutting characters.
#[derive(Default)]
struct HeldText {
    held: Vec<u8>,
}

impl HeldText {
    fn events(&mut self, part: Result<LogPiece, ApiError>) -> Vec<Event> {
        match part {
            Ok(LogPiece::Bytes(piece, times)) => {
                let offset = piece.offset - self.held.len() as u64;
                self.held.extend_from_slice(&piece.bytes);
                let whole = whole_characters(&self.held);
                self.chunk(offset, whole, times).into_iter().collect()
            }
            Ok(LogPiece::Gap { from, to }) => {
                let mut events = self.rest(from);
                events.push(json_event("gap", &LogGap { from, to }).id(to.to_string()));
                events
            }
            Ok(LogPiece::End { length }) => {
                let mut events = self.rest(length);
                events.push(json_event("end", &LogEnd { length }));
                events
            }
            Err(error) => vec![json_event::<Problem>("problem", &error.problem())],
        }
    }

    /// The held bytes of a character that will not be completed.
    fn rest(&mut self, end: u64) -> Vec<Event> {
        let held = self.held.len();
        self.chunk(end - held as u64, held, Vec::new())
            .into_iter()
            .collect()
    }

    fn chunk(&mut self, offset: u64, len: usize, times: Vec<TimeMark>) -> Option<Event> {
        if len == 0 {
            return None;
        }
        let bytes: Vec<u8> = self.held.drain(..len).collect();
        let next = offset + len as u64;
        let chunk = LogChunk {
            offset,
            next,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            times,
        };
        Some(json_event("chunk", &chunk).id(next.to_string()))
    }
}

#[derive(Serialize)]
struct Empty {}

fn json_event<T: Serialize>(name: &str, data: &T) -> Event {
    Event::default()
        .event(name)
        .json_data(data)
        .unwrap_or_else(|_| Event::default().event("resync").data("{}"))
}
