//! Powers of each kind of process, and the ways to remove the others.
//!
//! There are three means, and each covers a gap of the others. Capabilities limit the powers of root, Landlock the
//! files and ports to open, a system call filter the parts of the kernel to talk to. A process of root without
//! capabilities still owns root's files and can still talk to root's services; the other two means prevent that.
//!
//! Invariant: neither the process nor its children can regain a removed power.
#![forbid(unsafe_code)]

pub mod capabilities;
pub mod files;
pub mod hardening;
pub mod syscalls;

use std::fmt;

use caps::Capability;
use serde::{Deserialize, Serialize};

/// The kernel's means to confine a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// The version of Landlock's interface; none where it is missing or switched off.
    pub landlock: Option<u32>,
    /// System calls can be filtered.
    pub seccomp: bool,
}

impl Offers {
    /// Asks the kernel.
    #[must_use]
    pub fn ask() -> Self {
        Self {
            landlock: files::version(),
            seccomp: std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
        }
    }
}

impl fmt::Display for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            Some(version) => write!(f, "Landlock version {version}, ")?,
            None => f.write_str("no Landlock, ")?,
        }
        f.write_str(if self.seccomp {
            "seccomp"
        } else {
            "no seccomp"
        })
    }
}

/// Everything that is taken away from a program that is not the administrator's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// May read the files of others: a service's data.
    pub reads_all: bool,
    /// It may set the times of files: it writes copies on this host.
    pub sets_times: bool,
    /// It answers on a socket that it was given.
    #[serde(default)]
    pub answers: bool,
    /// Files to open; `None` without Landlock.
    pub files: Option<files::Rules>,
}

impl Confinement {
    /// Removes these powers from this process, for good. execve(2) follows.
    ///
    /// # Errors
    /// A sentence, when the kernel refused a step. A kernel without Landlock is no error here.
    pub fn enter(&self) -> Result<(), String> {
        // Rules name files by descriptor, and opening some of them takes the capabilities that go next.
        let domain = self.files.as_ref().map(files::Rules::open).transpose()?;
        let kept: &[Capability] = if self.reads_all {
            &[Capability::CAP_DAC_READ_SEARCH]
        } else {
            &[]
        };
        capabilities::keep(kept, capabilities::Children::Same)?;
        if let Some(domain) = domain {
            domain.enter()?;
        }
        syscalls::for_transfers(self.sets_times, self.answers)
    }
}

/// Runs `work` in a thread that can reach only its memory: no file, no process, no network. Returns the result, and a
/// sentence if the kernel did not confine the thread; the work runs in that case, too.
pub fn thinking<T: Send>(work: impl Fn() -> T + Sync) -> (T, Option<String>) {
    std::thread::scope(|scope| {
        let thinker = std::thread::Builder::new().spawn_scoped(scope, || {
            let unconfined = syscalls::for_thinking().err();
            (work(), unconfined)
        });
        match thinker.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(thought)) => thought,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => (work(), Some(format!("no thread can be started: {error}"))),
        }
    })
}
