//! What each kind of process may do, and how what it may not do is taken away.
//!
//! There are three means, and each holds where the others do not reach: capabilities say what of root's power is
//! left, Landlock which files and ports can be opened, a system call filter which parts of the kernel can be
//! talked to at all. A process that belongs to root and has no capability left still owns root's files and may
//! still speak to root's services; that is what the other two are for.
//!
//! Invariant: what is taken away cannot be regained, neither by the process nor by what it starts.

pub mod capabilities;
pub mod files;
pub mod syscalls;

use std::fmt;

use caps::Capability;
use serde::{Deserialize, Serialize};

/// What the kernel offers to confine a process with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// The version of Landlock's interface; none where it is missing or switched off.
    pub landlock: Option<u32>,
    /// Whether system calls can be filtered.
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
    /// It may read what belongs to others: a service's data.
    pub reads_all: bool,
    /// It may set the times of files: it writes copies on this host.
    pub sets_times: bool,
    /// What it may open; none where Landlock is not used.
    pub files: Option<files::Rules>,
}

impl Confinement {
    /// Takes it away from this process, for good. What comes after is execve(2).
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
        syscalls::for_transfers(self.sets_times)
    }
}

/// Does some thinking in a thread that can reach nothing but its memory: no file, no process, no network. Returns
/// what came of it, and a sentence where the kernel would not confine the thread; it thinks all the same then.
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
