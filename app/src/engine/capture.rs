//! Captures what a step prints: pipe → mask → log file, on a thread of its own.
//!
//! A thread, because writing to a slow disk must hold up neither the step nor the
//! event loop; it holds one buffer, however much the step prints.

use super::log_file::LogWriter;
use crate::secrets::Masker;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use tokio::sync::{oneshot, watch};

const BUFFER: usize = 64 * 1024;

/// A capture that goes on.
#[derive(Debug)]
pub(super) struct Capture {
    done: oneshot::Receiver<Captured>,
    stop: Option<OwnedFd>,
}

/// A capture that is over: more may be appended to the log by the runner itself.
#[derive(Debug)]
pub(super) struct Captured {
    writer: LogWriter,
    masker: Masker,
    length: watch::Sender<u64>,
    /// The first error of the log file; what came after it is lost.
    failure: Option<io::Error>,
}

/// Starts capturing `pipe` into `writer`; `length` tells readers how far the log is.
///
/// # Errors
/// Where the system gives no thread or pipe.
pub(super) fn start(
    pipe: OwnedFd,
    writer: LogWriter,
    masker: Masker,
    length: watch::Sender<u64>,
) -> io::Result<Capture> {
    // Closing one end of this pipe ends the poll at the other.
    let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (report, done) = oneshot::channel();
    let mut captured = Captured::new(writer, masker, length);
    thread::Builder::new()
        .name("capture".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || {
            captured.drain(pipe, &stopped);
            // The step's task may be gone when the runner goes down.
            let _ = report.send(captured);
        })?;
    Ok(Capture {
        done,
        stop: Some(stop),
    })
}

impl Capture {
    /// Waits until nobody holds the pipe any more, or [`Self::stop`] was called.
    pub(super) async fn finished(&mut self) -> Option<Captured> {
        (&mut self.done).await.ok()
    }

    /// Gives up on whoever still holds the pipe.
    pub(super) fn stop(&mut self) {
        self.stop = None;
    }
}

impl Captured {
    /// A log into which nothing was captured yet.
    pub(super) fn new(writer: LogWriter, masker: Masker, length: watch::Sender<u64>) -> Self {
        Self {
            writer,
            masker,
            length,
            failure: None,
        }
    }

    fn drain(&mut self, pipe: OwnedFd, stopped: &OwnedFd) {
        let mut pipe = std::fs::File::from(pipe);
        let mut buffer = vec![0; BUFFER];
        let mut masked = Vec::with_capacity(BUFFER);
        while wait_readable(&pipe, stopped) {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    masked.clear();
                    self.masker.push(&buffer[..n], &mut masked);
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
        self.append(&masked);
    }

    /// Writes to the log; after a failure (a full disk) the step goes on without.
    fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.failure.is_some() {
            return;
        }
        if let Err(error) = self.writer.write(bytes) {
            self.failure = Some(error);
        }
        self.length.send_replace(self.writer.written());
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

    /// Why the log is not complete, if so.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }
}

/// Waits for something to read; `false` when told to stop.
fn wait_readable(pipe: &impl AsFd, stopped: &OwnedFd) -> bool {
    loop {
        let mut descriptors = [
            PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        let readable = descriptors[0].any() == Some(true);
        let stop = descriptors[1].any() == Some(true);
        // What was printed before the end is read first, but a holder that never
        // stops printing does not keep the capture alive.
        return readable && !stop;
    }
}
