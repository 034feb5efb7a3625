//! A file that a server sends, read while it comes. Where it breaks off, the rest is asked for.
//!
//! Invariant: a part of a file is taken only when it begins where the former one ended.

use std::io;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::descendants::reap;
use super::server::{Exchange, Serving, ended};
use super::watch::TICK;
use super::{Answered, Continue, Ear, Ended, Exit, Feed, Patience, Read, Request};
use crate::http;
use base::error::Failure;
use base::reply::Stream;

/// A file that is read from a server.
struct Reading<'a> {
    host: &'a mut dyn Serving,
    request: &'a Request<'a>,
    patience: &'a Patience<'a>,
    ear: &'a mut dyn Ear,
    resume: &'a mut Continue<'a>,
    /// The answer that is read, and the byte that it was asked for from.
    exchange: Option<(Exchange, u64)>,
    /// Bytes that have come, and how many of them were read.
    pending: (Vec<u8>, usize),
    /// Bytes that were read in all.
    delivered: u64,
    /// The last answer, once it is over, and whether it was the rest of the file.
    over: Option<(Answered, bool)>,
    failure: Option<Failure>,
}

/// Reads a file while `reader` takes it.
pub(super) fn read<'a>(
    host: &'a mut dyn Serving,
    request: &'a Request<'a>,
    patience: &'a Patience<'a>,
    ear: &'a mut dyn Ear,
    reader: &mut dyn FnMut(&mut dyn Feed) -> Result<(), Failure>,
    resume: &'a mut Continue<'a>,
) -> Result<Read, Failure> {
    host.watch().now_doing(request.what);
    let mut reading = Reading {
        host,
        request,
        patience,
        ear,
        resume,
        exchange: None,
        pending: (Vec::new(), 0),
        delivered: 0,
        over: None,
        failure: None,
    };
    let read = reader(&mut reading);
    match reading.failure.take() {
        Some(failure) => Err(failure),
        None => Ok(Read {
            answered: reading.over.map(|(answered, _)| answered),
            read,
        }),
    }
}

impl Reading<'_> {
    /// Waits for something to happen.
    fn turn(&mut self) -> Result<(), Failure> {
        let output = self.request.output;
        let Some(mut server) = self.host.server().take() else {
            let ended = Ended {
                exit: Exit::Unknown,
                stdout: Vec::new(),
                last_words: Vec::new(),
            };
            self.over = Some((Answered::Ended(ended), false));
            return Ok(());
        };
        if self.exchange.is_none() {
            server.streams.last_words.clear();
            let bytes = http::get(self.request.path, self.delivered);
            let begun = Exchange::begin(&server.socket, bytes).ok();
            self.exchange = begun.map(|exchange| (exchange, self.delivered));
        }
        let left = self
            .patience
            .until
            .saturating_duration_since(Instant::now());
        let mut fds = server.streams.pipes();
        fds.extend(self.exchange.iter().map(|(exchange, _)| exchange.poll()));
        self.host.watch().look(left.min(TICK), &fds);
        drop(fds);
        server.pump(self.host, output, self.ear);
        let mut exit = reap(server.main);
        let (mut complete, mut broken, mut is_file) = (false, self.exchange.is_none(), false);
        if let Some((exchange, from)) = &mut self.exchange {
            match exchange.turn() {
                Ok(done) => complete = done,
                Err(_) => broken = true,
            }
            is_file = exchange.answer.begins_at(*from);
            if is_file {
                self.pending = (std::mem::take(&mut exchange.body), 0);
            }
        }
        // It writes its messages before the end of its answer.
        server.pump(self.host, output, self.ear);
        if complete {
            let exchange = self.exchange.take();
            let (status, body) = exchange.map_or((0, Vec::new()), |(exchange, _)| {
                (exchange.answer.status(), exchange.body)
            });
            let last_words = server.streams.last_words.clone();
            // Another part of the file than the one that was asked for.
            let other = !is_file && matches!(status, 200 | 206);
            let answered = match other {
                true => Answered::Broken { last_words },
                false => Answered::Answer {
                    status,
                    body,
                    last_words,
                },
            };
            self.over = Some((answered, is_file));
            *self.host.server() = Some(server);
            return Ok(());
        }
        if broken || exit.is_some() {
            self.exchange = None;
            exit = exit.or_else(|| server.last_moment(self.host));
            let answered = if exit.is_some() {
                Answered::Ended(ended(self.host, server, exit, output, self.ear))
            } else {
                let last_words = server.streams.last_words.clone();
                *self.host.server() = Some(server);
                Answered::Broken { last_words }
            };
            self.over = Some((answered, false));
            return Ok(());
        }
        if self.ear.has_enough() {
            self.exchange = None;
            let exit = Some(Exit::Signal(Signal::SIGKILL as i32));
            let ended = ended(self.host, server, exit, output, self.ear);
            self.over = Some((Answered::Ended(ended), false));
            return Ok(());
        }
        if let Some(failure) = server.reason(self.host, self.request.what, self.patience) {
            server.end(self.host, output, self.ear);
            return Err(failure);
        }
        *self.host.server() = Some(server);
        Ok(())
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        loop {
            let (bytes, taken) = &mut self.pending;
            let left = bytes.get(*taken..).unwrap_or_default();
            let count = left.len().min(buffer.len());
            if count > 0 {
                if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count)) {
                    to.copy_from_slice(from);
                }
                *taken += count;
                self.delivered += count as u64;
                return Ok(count);
            }
            if let Some((answered, whole)) = self.over.take()
                && (whole || !(self.resume)(self.host, &answered, self.delivered)?)
            {
                self.over = Some((answered, whole));
                return Ok(0);
            }
            self.turn()?;
        }
    }
}

impl Feed for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_on(buffer).map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other("interrupted")
        })
    }

    fn say(&mut self, stream: Stream, line: &str) {
        self.host.watch().reply.line(stream, line);
    }
}
