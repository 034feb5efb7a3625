//! The process beside a keeper: each of the two waits for the end of the other.
//!
//! Each of the two holds one end of a pipe that carries no data, and sleeps until the other end is closed. The kernel
//! closes it for every kind of death. So each notices at once that the other one has died: the standby becomes the
//! keeper, and a keeper without a standby starts another one.
//!
//! A keeper that was stopped by a signal keeps its end open. So the standby also checks when the lease is over: if the
//! service is not back and the keeper does not run, the standby ends it and takes its place.
//!
//! Invariant: a lease stays kept unless both processes die at the same moment.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, stdin};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;

use host::program;

/// The word that tells the first process to start a standby.
pub(super) const BESIDE: &str = "beside";

/// A standby, seen from its keeper.
pub(super) struct Standby {
    /// Closed when the standby dies.
    theirs: PipeReader,
    /// Closed when the keeper dies; the standby waits for that.
    _ours: PipeWriter,
}

impl Standby {
    /// Starts a standby with the words that name the lease.
    pub(super) fn start(words: &[OsString]) -> std::io::Result<Self> {
        // As a subreaper's child the standby would be ended with the leftover programs of the gate.
        set_child_subreaper(false)?;
        let (input, ours) = std::io::pipe()?;
        let (theirs, output) = std::io::pipe()?;
        let mut all: Vec<OsString> = vec![super::ENTRY.into(), BESIDE.into()];
        all.extend(words.iter().cloned());
        // The first of the two processes, which ends at once.
        program::second(&all).stdin(input).stdout(output).status()?;
        Ok(Self {
            theirs,
            _ours: ours,
        })
    }

    /// The descriptor to wait for.
    pub(super) fn life(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }

    /// In the standby: returns `true` when the keeper has died, and `false` after this time.
    pub(super) fn wait_for_keeper(time: Duration) -> bool {
        let input = stdin();
        let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        // The pipe carries no data, so any event means that the keeper has died.
        poll(&mut fds, time) != Ok(0)
    }
}
