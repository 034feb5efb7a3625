//! The output for the caller: lines on standard output and standard error.
//!
//! Invariant: writing never panics, never blocks for long and never ends the gate. A reader that is gone or
//! asleep loses lines; it does not get to stop a service from coming back.

use std::io::{Write, stderr, stdout};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Longest line that is written; shorter than a pipe's buffer page, so that a pipe that reports room has room for the
/// whole line.
const MAX_LINE: usize = 2048;

/// Longest wait of one line for a slow reader, in milliseconds.
const PATIENCE_MS: u16 = 1000;

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Results and progress.
    Out,
    /// Reasons and warnings.
    Err,
}

/// The two streams, and their state.
#[derive(Debug)]
pub struct Reply {
    out_stalled: bool,
    err_stalled: bool,
    last: Instant,
}

impl Default for Reply {
    fn default() -> Self {
        Self {
            out_stalled: false,
            err_stalled: false,
            last: Instant::now(),
        }
    }
}

impl Reply {
    /// Time since the last line.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.last.elapsed()
    }

    /// Writes one line; unprintable characters become `?`.
    pub fn line(&mut self, stream: Stream, text: &str) {
        self.last = Instant::now();
        let mut line: String = text
            .chars()
            .map(|c| if c.is_control() && c != '\t' { '?' } else { c })
            .collect();
        if line.len() > MAX_LINE {
            let cut = (0..=MAX_LINE)
                .rev()
                .find(|&at| line.is_char_boundary(at))
                .unwrap_or(0);
            line.truncate(cut);
            line.push_str("...");
        }
        line.push('\n');
        match stream {
            Stream::Out => write(
                &mut self.out_stalled,
                &stdout(),
                |bytes| {
                    let mut out = stdout().lock();
                    out.write_all(bytes).and_then(|()| out.flush())
                },
                line.as_bytes(),
            ),
            Stream::Err => write(
                &mut self.err_stalled,
                &stderr(),
                |bytes| stderr().lock().write_all(bytes),
                line.as_bytes(),
            ),
        }
    }
}

/// Writes to one stream. A reader that kept us waiting once is not waited for again until it has caught up:
/// one that takes a little now and then would otherwise hold up every single line.
fn write(
    stalled: &mut bool,
    fd: &impl AsFd,
    write: impl Fn(&[u8]) -> std::io::Result<()>,
    bytes: &[u8],
) {
    let has_room = |wait: PollTimeout| {
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut fds, wait), Ok(n) if n > 0)
    };
    let at_once = has_room(PollTimeout::ZERO);
    let ready = at_once || (!*stalled && has_room(PollTimeout::from(PATIENCE_MS)));
    *stalled = !at_once;
    if ready {
        // EPIPE and the like: there is no reader. The action's own watch decides the consequence.
        let _ = write(bytes);
    }
}
