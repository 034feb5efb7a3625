//! Finding and ending every process that descends from the gate.
//!
//! Invariant: the gate is a child subreaper, so a process that forks twice or starts a session of its own
//! still hangs below it, and after [`end_all`] there is none left.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::Exit;
use base::process::stat_field;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Time for killing processes that keep forking.
const PERSISTENCE: Duration = Duration::from_secs(5);

/// Time for killed processes that cannot die, because they wait for a file system that does not answer.
const UNDEAD: Duration = Duration::from_secs(1);

/// The field of `/proc/PID/stat` that says whether a process runs.
const STATE: usize = 3;

/// The field of `/proc/PID/stat` that names the parent, see proc(5).
const PARENT: usize = 4;

/// Every process below this one.
#[must_use]
pub fn descendants() -> Vec<Pid> {
    let mut parents: HashMap<i32, i32> = HashMap::new();
    let Ok(listing) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    for entry in listing.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let parent = stat_field(pid, PARENT).and_then(|field| field.parse().ok());
        if let Some(parent) = parent {
            parents.insert(pid, parent);
        }
    }
    let own = getpid().as_raw();
    parents
        .keys()
        .copied()
        .filter(|&pid| {
            let mut at = pid;
            // Bounded, because the table was not read in one moment and might hold a loop.
            for _ in 0..parents.len() {
                match parents.get(&at) {
                    Some(&parent) if parent == own => return true,
                    Some(&parent) => at = parent,
                    None => return false,
                }
            }
            false
        })
        .map(Pid::from_raw)
        .collect()
}

/// Takes in every child that has ended; returns how `main` did, if it is among them.
pub fn reap(main: Pid) -> Option<Exit> {
    let mut ended = None;
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == main => ended = Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                ended = Some(Exit::Signal(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}

/// Ends a program's process group: SIGTERM, a grace, SIGKILL.
pub fn end_group(main: Pid) {
    let _ = killpg(main, Signal::SIGTERM);
    let until = Instant::now() + GRACE;
    while Instant::now() < until && killpg(main, None).is_ok() {
        reap(main);
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = killpg(main, Signal::SIGKILL);
    reap(main);
}

/// Ends a program's process group and every other descendant of the gate.
pub fn end_all(main: Pid) {
    end_group(main);
    let until = Instant::now() + PERSISTENCE;
    let mut undead: Option<Instant> = None;
    loop {
        reap(main);
        let left = descendants();
        let now = Instant::now();
        let waits = |pid: &Pid| stat_field(pid.as_raw(), STATE).as_deref() == Some("D");
        if left.iter().all(waits) {
            // It is left behind, and dies as soon as it can.
            if now.duration_since(*undead.get_or_insert(now)) > UNDEAD {
                return;
            }
        } else {
            undead = None;
        }
        if left.is_empty() || now > until {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
