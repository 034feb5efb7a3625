//! Actions that are ended early: by a deadline, a signal, a vanished peer, a start, or a SIGKILL. They leave no partial
//! results.

use std::fs;
use std::io::{BufRead, BufReader};

use nix::sys::signal::{Signal, kill};

use crate::harness::{Answer, World, pid, wait_until};

/// A program in rclone's place that starts, leaves a daemon behind, and does not end.
fn hanging_rclone(world: &World) {
    let here = world.path("").display().to_string();
    let program = world.script("hang", &format!(
        "setsid sh -c 'sleep 300; : {here}' > /dev/null 2>&1 &\n: > {here}/hanging\ntrap '' TERM\nwhile :; do sleep 0.1; done\n"
    ));
    world.configure_with("", &program);
}

/// Every process that a request started has ended; each process names the world in its command line.
fn nothing_left(world: &World) {
    wait_until("no process of this world is left", || {
        world.processes().is_empty()
    });
}

#[test]
fn a_remote_that_hangs_times_out_and_nothing_stays_behind() {
    let world = World::new();
    hanging_rclone(&world);
    let answer = world
        .request(&format!("{} --timeout 1", world.sync()))
        .expect(124);
    assert!(answer.err.contains("timed out"), "{}", answer.err);
    nothing_left(&world);
    // The lock is free again.
    world.request("backupctl --stop app --timeout 20").expect(0);
}

#[test]
fn a_gate_that_is_killed_leaves_no_rclone() {
    let world = World::new();
    let here = world.path("").display().to_string();
    let program = world.script("hang", &format!(": > {here}/hanging\nexec sleep 300\n"));
    world.configure_with("", &program);
    let mut gate = world.spawn(&world.sync());
    wait_until("rclone runs", || world.exists("hanging"));
    let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", gate.id())).unwrap();
    let child = child.trim().to_owned();
    assert!(!child.is_empty());
    kill(pid(&gate), Signal::SIGKILL).unwrap();
    gate.wait().unwrap();
    wait_until("rclone is gone", || {
        fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
fn what_a_killed_gate_left_behind_is_ended_by_the_next_action() {
    let world = World::new();
    hanging_rclone(&world);
    let mut gate = world.spawn(&world.sync());
    wait_until("rclone runs and has started a daemon", || {
        world.exists("hanging")
            && world
                .processes()
                .iter()
                .any(|line| line.contains("sleep 300"))
    });
    kill(pid(&gate), Signal::SIGKILL).unwrap();
    gate.wait().unwrap();
    // The daemon has its own session, and this gate's signals do not reach it. (The gate of another test may end it:
    // each gate cleans up all leftovers.)
    world.request("backupctl --start app").expect(0);
    nothing_left(&world);
}

#[test]
fn a_start_that_waited_for_a_gate_that_was_killed_ends_what_that_left_behind() {
    let world = World::new();
    let here = world.path("").display().to_string();
    // The processes that the stop command leaves would take the service down again after the start.
    world.script("stop", &format!(
        "setsid sh -c 'while :; do rm -f {here}/up; sleep 0.05; done' > /dev/null 2>&1 &\n: > {here}/stopping\nsleep 300\n"
    ));
    let mut gate = world.spawn("backupctl --stop app");
    wait_until("the stop runs", || world.exists("stopping"));
    let start = world.spawn("backupctl --start app --timeout 20");
    wait_until("the start waits", || {
        world
            .processes()
            .iter()
            .filter(|line| line.contains("--ssh-gate"))
            .count()
            == 2
            && world.exists("lock/app.start")
    });
    kill(pid(&gate), Signal::SIGKILL).unwrap();
    gate.wait().unwrap();
    Answer::of(&start.wait_with_output().unwrap()).expect(0);
    nothing_left(&world);
    assert!(world.exists("up"));
}

#[test]
fn a_peer_that_goes_away_ends_a_sync_with_all_its_children() {
    let world = World::new();
    hanging_rclone(&world);
    let mut gate = world.spawn(&world.sync());
    wait_until("rclone runs", || world.exists("hanging"));
    drop(gate.stdout.take());
    assert_eq!(gate.wait().unwrap().code(), Some(69));
    nothing_left(&world);
}

#[test]
fn a_silent_program_is_talked_over_so_that_a_vanished_reader_is_noticed() {
    let world = World::new();
    hanging_rclone(&world);
    let mut gate = world.spawn(&world.sync());
    let mut lines = BufReader::new(gate.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let still = lines.find(|line| line.starts_with("still "));
    let still = still.unwrap();
    assert!(still.contains("rclone"), "{still}");
    // The other stream is still read: sudo notices a closed stream only when it writes to it.
    drop(lines);
    assert_eq!(gate.wait().unwrap().code(), Some(69));
    nothing_left(&world);
}

#[test]
fn a_signal_ends_a_sync_with_all_its_children() {
    let world = World::new();
    hanging_rclone(&world);
    let gate = world.spawn(&world.sync());
    wait_until("rclone runs", || world.exists("hanging"));
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    Answer::of(&gate.wait_with_output().unwrap()).expect(69);
    nothing_left(&world);
}

#[test]
fn a_program_that_heeds_sigterm_gets_one() {
    let world = World::new();
    let here = world.path("").display().to_string();
    // The other kinds of end leave no time for a message.
    let polite =
        format!("trap ': > {here}/heeded; exit 1' TERM\n: > {here}/hanging\nsleep 300 &\nwait\n");
    let program = world.script("polite", &polite);
    world.configure_with("", &program);
    let gate = world.spawn(&world.sync());
    wait_until("rclone runs", || world.exists("hanging"));
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    Answer::of(&gate.wait_with_output().unwrap()).expect(69);
    assert!(world.exists("heeded"));
    nothing_left(&world);
}

#[test]
fn a_start_comes_before_a_sync() {
    let world = World::new();
    world.request("backupctl --stop app").expect(0);
    hanging_rclone(&world);
    let gate = world.spawn(&world.sync());
    wait_until("rclone runs", || world.exists("hanging"));
    let answer = world
        .request("backupctl --start app --timeout 10")
        .expect(0);
    assert!(answer.out.contains("give way"), "{}", answer.out);
    assert!(world.exists("up"));
    let cancelled = Answer::of(&gate.wait_with_output().unwrap()).expect(69);
    assert!(
        cancelled.err.contains("--start of the same service"),
        "{}",
        cancelled.err
    );
}

#[test]
fn one_action_at_a_time_for_each_service() {
    let world = World::new();
    hanging_rclone(&world);
    let mut gate = world.spawn(&world.sync());
    wait_until("rclone runs", || world.exists("hanging"));
    let answer = world
        .request("backupctl --stop app --timeout 1")
        .expect(124);
    assert!(
        answer.err.contains("waiting for --sync (process "),
        "{}",
        answer.err
    );
    let status = Answer::of(&world.gate().args(["--status", "app"]).output().unwrap()).expect(0);
    assert!(status.out.contains("busy with --sync"), "{}", status.out);
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    gate.wait().unwrap();
}
