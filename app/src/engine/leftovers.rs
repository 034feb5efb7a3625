//! Processes of a step whose supervisor is gone: killed from outside, or with the whole server.
//!
//! Invariant: a process counts as a step's only if its environment names the run, or says "supervisor", and names this
//! data directory, which no other program has; its descendants count, too.

use crate::domain::lifecycle::RunId;
use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// The variable by which a supervisor is known. No step has it.
pub(super) const SUPERVISOR_MARK: (&str, &str) = ("LIGHTFLOW_SUPERVISOR", "1");

/// Rounds of killing; a process that forks faster than it is seen is seen in the next one.
const ROUNDS: u32 = 50;

/// Kills all processes of a run; returns how many there were.
pub(super) fn kill(run: RunId, data: &str) -> usize {
    kill_marked(&[mark(run)], data)
}

/// Kills all processes of these runs and all supervisors of a server that is gone; returns how many there were.
pub(super) fn kill_all(runs: &[RunId], data: &str) -> usize {
    let (name, value) = SUPERVISOR_MARK;
    let mut marks: Vec<String> = runs.iter().map(|run| mark(*run)).collect();
    marks.push(format!("{name}={value}"));
    kill_marked(&marks, data)
}

fn mark(run: RunId) -> String {
    format!("LIGHTFLOW_RUN_ID={}", run.0)
}

fn kill_marked(marks: &[String], data: &str) -> usize {
    let mut killed = BTreeSet::new();
    let mut pause = Duration::from_millis(2);
    for _ in 0..ROUNDS {
        let found = find(marks, data);
        // A process that dies loses its environment before its files and locks.
        if found.is_empty() && killed.iter().all(|pid| living_parent(*pid).is_none()) {
            break;
        }
        for pid in found {
            if signal(Pid::from_raw(pid), Signal::SIGKILL).is_ok() {
                killed.insert(pid);
            }
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    killed.len()
}

/// Living processes with one of the marks in their environment, and their descendants.
fn find(marks: &[String], data: &str) -> BTreeSet<i32> {
    let folder = format!("LIGHTFLOW_DATA_DIR={data}");
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Some(parent) = living_parent(pid) else {
            continue;
        };
        children.entry(parent).or_default().push(pid);
        // Of another user, or gone meanwhile: not ours.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |wanted: &String| {
            environment
                .split(|b| *b == 0)
                .any(|one| one == wanted.as_bytes())
        };
        if has(&folder) && marks.iter().any(has) {
            open.push(pid);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(pid) = open.pop() {
        if found.insert(pid) {
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found.remove(&Pid::this().as_raw());
    found
}

/// The parent of a process; none where it is a zombie or gone.
fn living_parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, parent) = super::supervisor::state_and_parent(&stat)?;
    (state != 'Z').then_some(parent)
}
