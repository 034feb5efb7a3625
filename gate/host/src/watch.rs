//! The caller, signals and the peer, looked at while the gate waits.
//!
//! Invariant: a reason to stop is found within [`TICK`], and is never forgotten.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::{Host, Patience};
use base::error::Interrupt;
use base::reply::{Reply, Stream};

/// The longest time between two looks around.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// The longest time without a word to the caller.
const SILENCE: Duration = Duration::from_secs(5);

/// A host that is watched while it works.
pub(super) trait Watched: Host {
    /// The watch.
    fn watch(&mut self) -> &mut Watch;
}

/// Signals, the peer, and the lines to the caller.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) reply: Reply,
    signals: SignalFd,
    peer_gone: bool,
    signalled: bool,
    /// Current activity for the periodic "still …" message; `None` until `keep_talking` is called.
    doing: Option<String>,
}

impl Watch {
    /// Takes over signals.
    pub(super) fn take_over(reply: Reply) -> nix::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGCHLD,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self {
            reply,
            signals,
            peer_gone: false,
            signalled: false,
            doing: None,
        })
    }

    /// From now on prints a line every few seconds.
    pub(super) fn keep_talking(&mut self) {
        self.doing = Some("working".into());
    }

    /// The activity that the periodic message names.
    pub(super) fn now_doing(&mut self, what: &str) {
        if let Some(doing) = &mut self.doing {
            what.clone_into(doing);
        }
    }

    /// Waits at most `time` for output, a signal or the end of the peer.
    pub(super) fn look(&mut self, time: Duration, pipes: &[PollFd<'_>]) {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let mut fds: Vec<PollFd<'_>> = pipes.to_vec();
        fds.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        let ours = fds.len();
        if !self.peer_gone {
            // No events asked for: POLLERR (pipe) and POLLHUP (socket) come unasked when the reader is gone.
            // Both, because a sudo that records output notices that on the one it has something for.
            fds.push(PollFd::new(out.as_fd(), PollFlags::empty()));
            fds.push(PollFd::new(err.as_fd(), PollFlags::empty()));
        }
        let wait = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        self.peer_gone |= poll(&mut fds, wait).is_ok()
            && fds
                .iter()
                .skip(ours)
                .filter_map(PollFd::revents)
                .any(|seen| seen.intersects(gone));
        if let Some(doing) = &self.doing
            && self.reply.silent_for() >= SILENCE
        {
            self.reply.line(Stream::Err, &format!("still {doing}"));
        }
        while let Ok(Some(info)) = self.signals.read_signal() {
            self.signalled |= info.ssi_signo != Signal::SIGCHLD as u32;
        }
    }

    /// The reason to stop, if there is one.
    pub(super) fn reason(&self, patience: &Patience<'_>) -> Result<(), Interrupt> {
        if Instant::now() >= patience.until {
            return Err(Interrupt::DeadlinePassed);
        }
        if patience.attended {
            if self.signalled {
                return Err(Interrupt::Signalled);
            }
            if self.peer_gone {
                return Err(Interrupt::PeerGone);
            }
        }
        if patience.lock.is_some_and(|lock| lock.wanted()) {
            return Err(Interrupt::Preempted);
        }
        Ok(())
    }
}
