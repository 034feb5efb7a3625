//! Captures the output of a step: pipe → mask → log file → disk, on a thread of its own.
//!
//! A thread, because writing to a slow disk must hold up neither the step nor the
//! event loop; it holds one buffer, however much the step prints.

use super::clock::Clock;
use super::listen::Listener;
use super::log_file::LogWriter;
use crate::domain::figure::Figures;
use crate::panics::{abort, caught};
use crate::secrets::Masker;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use tokio::sync::{oneshot, watch};

const BUFFER: usize = 64 * 1024;

/// Most bytes a pipe holds (pipe(7), `/proc/sys/fs/pipe-max-size`).
const LARGEST_PIPE: usize = 1024 * 1024;

/// A running capture.
#[derive(Debug)]
pub(super) struct Capture {
    done: oneshot::Receiver<Captured>,
    stop: Option<OwnedFd>,
}

/// A capture that is over: more may be appended to the log by the runner itself.
#[derive(Debug)]
pub(super) struct Captured {
    /// None where the log could not even be created.
    writer: Option<LogWriter>,
    masker: Masker,
    length: watch::Sender<u64>,
    listener: Listener,
    clock: Arc<dyn Clock>,
    /// The first error of the log file; the output after it is lost.
    failure: Option<io::Error>,
    /// All of the log is on the disk.
    synced: bool,
}

/// Starts capturing into the log of `captured`; returns the end of the pipe that takes the output.
///
/// # Errors
/// Where the system gives no thread or pipe.
pub(super) fn start(mut captured: Captured) -> io::Result<(Capture, OwnedFd)> {
    let (pipe, output) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // Closing one end of this pipe ends the poll at the other.
    let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (report, done) = oneshot::channel();
    thread::Builder::new()
        .name("capture".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || {
            if caught(|| captured.drain(pipe, &stopped)).is_err() {
                abort();
            }
            // The step's task may be gone when the runner goes down.
            let _ = report.send(captured);
        })?;
    let capture = Capture {
        done,
        stop: Some(stop),
    };
    Ok((capture, output))
}

impl Capture {
    /// Waits until no process holds the pipe any more, or [`Self::stop`] was called.
    pub(super) async fn finished(&mut self) -> Option<Captured> {
        (&mut self.done).await.ok()
    }

    /// Stops waiting for processes that still hold the pipe.
    pub(super) fn stop(&mut self) {
        self.stop = None;
    }
}

impl Captured {
    /// A log into which nothing was captured yet; `length` tells readers how far it is, and
    /// `listener` hears the output. A
    /// log that cannot be created loses the output, but its step runs all the same: it
    /// may be the one that brings a service back.
    pub(super) fn new(
        writer: io::Result<LogWriter>,
        masker: Masker,
        length: watch::Sender<u64>,
        listener: Listener,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (writer, failure) = match writer {
            Ok(writer) => (Some(writer), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            writer,
            masker,
            length,
            listener,
            clock,
            failure,
            synced: true,
        }
    }

    fn drain(&mut self, pipe: OwnedFd, stopped: &OwnedFd) {
        let mut pipe = std::fs::File::from(pipe);
        let mut buffer = vec![0; BUFFER];
        let mut masked = Vec::with_capacity(BUFFER);
        // Bytes that are still taken after the order to stop: the content of the pipe was
        // printed before, but a holder that keeps printing does not keep us here.
        let mut left = None;
        while let Some((readable, stop)) = look(&pipe, stopped) {
            if stop {
                left.get_or_insert(LARGEST_PIPE);
            }
            if stop && (!readable || left == Some(0)) {
                break;
            }
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    left = left.map(|left: usize| left.saturating_sub(n));
                    masked.clear();
                    self.masker.push(&buffer[..n], &mut masked);
                    self.listener.push(&masked);
                    self.append(&masked);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failure.get_or_insert(e);
                    break;
                }
            }
        }
        masked.clear();
        self.masker.finish(&mut masked);
        self.listener.push(&masked);
        self.append(&masked);
        self.sync();
    }

    /// Writes to the log; after a failure (a full disk) the step continues without one.
    fn append(&mut self, bytes: &[u8]) {
        let Some(writer) = self.writer.as_mut().filter(|_| self.failure.is_none()) else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        self.synced = false;
        if let Err(error) = writer.write(bytes, self.clock.now()) {
            self.failure = Some(error);
        }
        self.length.send_replace(writer.written());
    }

    /// Appends lines of the runner's own, each marked as such; secrets in them are masked.
    pub(super) fn note(&mut self, lines: &[String]) {
        let mut text = Vec::new();
        for line in lines {
            let mut masked = Vec::new();
            self.masker
                .push(format!("lightflow: {line}\n").as_bytes(), &mut masked);
            self.masker.finish(&mut masked);
            text.append(&mut masked);
        }
        self.append(&text);
    }

    /// The last progress of the step, if it was that of an upload.
    pub(super) fn upload(&self) -> Option<String> {
        self.listener.upload()
    }

    /// The figures and warnings that the step reported. JSON may spell a secret in another way than the log, so its
    /// texts are masked once more.
    pub(super) fn figures(&mut self) -> Figures {
        let mut figures = self.listener.figures();
        for warning in &mut figures.warnings {
            for text in [&mut warning.subject, &mut warning.message] {
                let mut masked = Vec::new();
                self.masker.push(text.as_bytes(), &mut masked);
                self.masker.finish(&mut masked);
                *text = String::from_utf8_lossy(&masked).into_owned();
            }
        }
        figures
    }

    /// Puts the log on the disk.
    pub(super) fn sync(&mut self) {
        if let Some(writer) = self.writer.as_mut().filter(|_| !self.synced)
            && let Err(error) = writer.sync()
        {
            self.failure.get_or_insert(error);
        }
        self.synced = true;
    }

    /// Reports if all of the log is on the disk.
    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// The reason why the log is not complete, if so.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }
}

/// Waits for something to read or for the order to stop, and says which are there.
fn look(pipe: &impl AsFd, stopped: &OwnedFd) -> Option<(bool, bool)> {
    loop {
        let mut descriptors = [
            PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return None,
            Ok(_) => {
                let [pipe, stopped] = descriptors.map(|d| d.any() == Some(true));
                return Some((pipe, stopped));
            }
        }
    }
}
