//! The process beside a keeper: it waits for the keeper's end, and the keeper for its.
//!
//! Each of the two holds one end of a pipe that nothing is ever written to, and sleeps until the other end is closed,
//! which the kernel does for a process however it dies. So each sees at once that the other one is gone: the standby
//! becomes the keeper, and a keeper without a standby starts another one.
//!
//! A keeper that was stopped by a signal keeps its end open. So the standby also looks when the lease is over: where the
//! service is not back and the keeper does not run, the standby ends it and takes its place.
//!
//! Invariant: as long as not both die at the same moment, a lease is kept.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, stdin};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;

use crate::program;

/// The word by which the first process knows that a standby is wanted.
pub(super) const BESIDE: &str = "beside";

/// A standby, as its keeper sees it.
pub(super) struct Standby {
    /// Closed when it dies.
    theirs: PipeReader,
    /// What it sees closed when we die.
    _ours: PipeWriter,
}

impl Standby {
    /// Starts one, by the words that name the lease.
    pub(super) fn start(words: &[OsString]) -> std::io::Result<Self> {
        // It would be ended with what the gate's programs leave behind.
        set_child_subreaper(false)?;
        let (input, ours) = std::io::pipe()?;
        let (theirs, output) = std::io::pipe()?;
        let mut all: Vec<OsString> = vec![super::ENTRY.into(), BESIDE.into()];
        all.extend(words.iter().cloned());
        // The first of two processes, which is gone at once.
        program::second(&all).stdin(input).stdout(output).status()?;
        Ok(Self {
            theirs,
            _ours: ours,
        })
    }

    /// What can be waited for.
    pub(super) fn life(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }

    /// In the standby: returns `true` when the keeper is no more, and `false` after so long.
    pub(super) fn wait_for_keeper(time: Duration) -> bool {
        let input = stdin();
        let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        // Nothing is ever written to the pipe, so whatever happens to it is the keeper's end.
        poll(&mut fds, time) != Ok(0)
    }
}
