//! The process that holds a lock, and whether it still works.
//!
//! A start must not wait for a process that will never let go: one that was stopped by a signal, or that waits in the
//! kernel for a file system that does not answer. Locks lie in a folder of the gate's own, so every holder is a gate.
//!
//! Invariant: a process is named only while the kernel says that it holds the lock.

use std::fs::File;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{fstat, major, minor};
use nix::unistd::{Pid, getpid};

use crate::process::stat_field;

/// The fields of `/proc/PID/stat`, see proc(5).
const STATE: usize = 3;
const USER_TIME: usize = 14;
const SYSTEM_TIME: usize = 15;

/// The process that holds the flock(2) of a file; see proc_locks(5). Where a file system has a device number there
/// that differs from the file's, as overlayfs may, the process must be the one that wrote itself into the file.
#[must_use]
pub fn holder(file: &File, written: Option<i32>) -> Option<Pid> {
    let stat = fstat(file).ok()?;
    let (major, minor) = (major(stat.st_dev), minor(stat.st_dev));
    let device = format!("{major:02x}:{minor:02x}");
    let inode = stat.st_ino.to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let flock = fields.next() == Some("FLOCK");
        let writes = fields.nth(1) == Some("WRITE");
        let pid: i32 = fields.next()?.parse().ok()?;
        let (there, same) = fields.next()?.rsplit_once(':')?;
        let ours = same == inode && (there == device || written == Some(pid));
        (flock && writes && ours).then_some(pid)
    })?;
    // Zero and below stand for processes of other namespaces.
    (pid > 1 && pid != getpid().as_raw()).then(|| Pid::from_raw(pid))
}

/// How long a process may be stopped. A stopped process does nothing until another signal comes, so a longer look shows
/// nothing new; a process that waits in the kernel may only be slow.
const STOPPED: Duration = Duration::from_millis(500);

/// Watches a process that holds a lock. It counts as hung when it was not seen to run for a while.
#[derive(Debug)]
pub struct Suspicion {
    /// Longest wait in the kernel without a sign of life.
    grace: Duration,
    /// The process, its processor time, and since when that has not changed.
    seen: Option<(Pid, String, Instant)>,
}

impl Suspicion {
    /// Begins to watch.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { grace, seen: None }
    }

    /// Looks at the process once more; true when it is stopped, or waits in the kernel, for too long.
    pub fn hangs(&mut self, pid: Pid, now: Instant) -> bool {
        let raw = pid.as_raw();
        let state = stat_field(raw, STATE).unwrap_or_default();
        let time = format!(
            "{} {}",
            stat_field(raw, USER_TIME).unwrap_or_default(),
            stat_field(raw, SYSTEM_TIME).unwrap_or_default()
        );
        if !matches!(state.as_str(), "T" | "t" | "D") {
            self.seen = None;
            return false;
        }
        let grace = if state == "D" {
            self.grace
        } else {
            self.grace.min(STOPPED)
        };
        match &self.seen {
            Some((known, before, since)) if *known == pid && *before == time => {
                now.duration_since(*since) >= grace
            }
            _ => {
                self.seen = Some((pid, time, now));
                false
            }
        }
    }
}

/// Ends a process that hangs. One that is stopped dies at once, one that waits in the kernel as soon as it can.
pub fn end(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sleeper() -> (std::process::Child, Pid) {
        let child = Command::new("sleep")
            .arg("300")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        (child, pid)
    }

    fn wait_for_state(pid: Pid, wanted: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        while stat_field(pid.as_raw(), STATE).as_deref() != Some(wanted) {
            assert!(Instant::now() < until, "still not {wanted}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_process_that_sleeps_does_not_hang_and_one_that_is_stopped_does() {
        let (mut child, pid) = sleeper();
        wait_for_state(pid, "S");
        let mut suspicion = Suspicion::new(Duration::from_secs(5));
        let start = Instant::now();
        assert!(!suspicion.hangs(pid, start));
        assert!(!suspicion.hangs(pid, start + Duration::from_secs(60)));
        kill(pid, Signal::SIGSTOP).unwrap();
        wait_for_state(pid, "T");
        assert!(!suspicion.hangs(pid, start));
        let soon = Duration::from_millis(499);
        assert!(!suspicion.hangs(pid, start + soon));
        assert!(suspicion.hangs(pid, start + STOPPED));
        // A sign of life begins the time anew.
        kill(pid, Signal::SIGCONT).unwrap();
        wait_for_state(pid, "S");
        assert!(!suspicion.hangs(pid, start + Duration::from_secs(6)));
        end(pid);
        child.wait().unwrap();
    }

    #[test]
    fn the_holder_of_a_lock_is_found_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = File::create(&path).unwrap();
        assert_eq!(holder(&file, None), None);
        let mut child = Command::new("flock")
            .arg("--no-fork")
            .arg(&path)
            .args(["sleep", "300"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while holder(&file, None).is_none() {
            assert!(Instant::now() < until, "flock(1) has no lock");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(
            holder(&file, None).map(Pid::as_raw),
            i32::try_from(child.id()).ok()
        );
        let other = File::create(folder.path().join("other")).unwrap();
        assert_eq!(holder(&other, None), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
