//! Left-overs of a gate that was killed.
//!
//! A program that must not outlive its gate dies with it, but its descendants do not notice. So each such program has
//! a mark in its environment that names its gate, and all descendants inherit the mark. The next action of any gate
//! ends every process with the mark of a dead gate.
//!
//! Invariant: a process is ended only when its mark names a gate of this process-id namespace that is dead; a number
//! that was given away again is told by its start time.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid, getpid};

use base::process::stat_field;

/// The variable that holds the mark.
pub const MARK: &str = "BACKUPCTL_TIED";

/// The field of `/proc/PID/stat` that says when a process started, see proc(5).
const START_TIME: usize = 22;

/// The mark of this gate.
#[must_use]
pub fn mark() -> String {
    let own = getpid().as_raw();
    format!(
        "{own} {} {}",
        start_time(own).unwrap_or_default(),
        namespace()
    )
}

/// Ends processes with the mark of a dead gate.
pub fn sweep() {
    let namespace = namespace();
    let uid = geteuid().as_raw();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if is_left_over(&entry.path(), uid, &namespace) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn is_left_over(process: &Path, uid: u32, namespace: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    // Anybody can give his own processes a mark.
    if !std::fs::metadata(process).is_ok_and(|found| found.uid() == uid) {
        return false;
    }
    let Ok(environment) = std::fs::read(process.join("environ")) else {
        return false;
    };
    let mark = environment
        .split(|&byte| byte == 0)
        .filter_map(|variable| std::str::from_utf8(variable).ok())
        .find_map(|variable| variable.strip_prefix(MARK)?.strip_prefix('='));
    let Some(mark) = mark else {
        return false;
    };
    let mut words = mark.split(' ');
    let (Some(gate), Some(started), Some(home)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let Ok(gate) = gate.parse() else {
        return false;
    };
    home == namespace && start_time(gate).as_deref() != Some(started)
}

fn start_time(pid: i32) -> Option<String> {
    stat_field(pid, START_TIME)
}

fn namespace() -> String {
    std::fs::read_link("/proc/self/ns/pid")
        .map(|name| name.display().to_string())
        .unwrap_or_default()
}
