//! A stop or a start that fails: in the end the service is up, or a lease records that it must come back.

use std::io::Read;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{World, pid, wait_until};

#[test]
fn a_service_that_does_not_exist_is_not_stopped() {
    let world = World::new();
    world.script("status", "exit 4\n");
    let answer = world.request("backupctl --stop app").expect(69);
    assert!(answer.err.contains("no such service"), "{}", answer.err);
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
}

#[test]
fn a_stop_that_does_not_stop_times_out_and_the_service_is_up() {
    let world = World::new();
    world.script("stop", "exit 0\n");
    let answer = world
        .request("backupctl --stop app --timeout 2")
        .expect(124);
    // While it waits, or in the middle of asking.
    assert!(
        (answer.err.contains("it is still up") || answer.err.contains("the status command"))
            && answer.err.contains("app is up again"),
        "{}",
        answer.err
    );
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
}

#[test]
fn a_stop_that_half_succeeds_is_taken_back() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script("stop", &format!("rm {here}/up\nexit 1\n"));
    world.request("backupctl --stop app").expect(69);
    assert!(world.exists("up"));
}

#[test]
fn a_stop_that_cannot_be_taken_back_is_remembered() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script("stop", &format!("rm {here}/up\nexit 1\n"));
    world.script("start", "exit 1\n");
    let answer = world.request("backupctl --stop app").expect(69);
    assert!(
        answer.err.contains("run --start app again"),
        "{}",
        answer.err
    );
    assert!(world.exists("state/leases/app.json"));
    world.script("start", &format!(": > {here}/up\n"));
    world.request("backupctl --start app").expect(0);
    assert!(world.exists("up"));
}

#[test]
fn a_peer_that_goes_away_during_a_stop_leaves_the_service_up() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script(
        "stop",
        &format!("rm {here}/up\n: > {here}/stopping\nsleep 30\n"),
    );
    let mut gate = world.spawn("backupctl --stop app");
    wait_until("the stop runs", || world.exists("stopping"));
    drop(gate.stdout.take());
    assert_eq!(gate.wait().unwrap().code(), Some(69));
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
}

#[test]
fn a_start_that_does_not_come_up_times_out_and_is_remembered() {
    let world = World::new();
    world.request("backupctl --stop app").expect(0);
    world.script("start", "exit 0\n");
    world
        .request("backupctl --start app --timeout 1")
        .expect(124);
    assert!(world.exists("state/leases/app.json"));
}

#[test]
fn a_start_goes_on_when_its_peer_is_gone_and_signals_come() {
    let world = World::new();
    world.request("backupctl --stop app").expect(0);
    let here = world.path("").display().to_string();
    world.script(
        "start",
        &format!(": > {here}/starting\nsleep 1\necho on the way\n: > {here}/up\n"),
    );
    let mut gate = world.spawn("backupctl --start app");
    wait_until("the start runs", || world.exists("starting"));
    drop(gate.stdout.take());
    drop(gate.stderr.take());
    kill(pid(&gate), Signal::SIGHUP).unwrap();
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    assert_eq!(gate.wait().unwrap().code(), Some(0));
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
}

#[test]
fn a_service_that_a_start_leaves_running_is_left_running() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script("start", &format!("setsid sh -c 'echo $$ > {here}/pid; exec sleep 3000' &\nwhile ! test -s {here}/pid; do :; done\n"));
    world.script(
        "status",
        &format!("test -s {here}/pid && kill -0 $(cat {here}/pid) && exit 0; exit 3\n"),
    );
    // The daemon keeps the standard output that it inherited; the gate does not wait for it, nor end it.
    let mut gate = world.ssh_gate("backupctl --start app");
    gate.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(gate.status().unwrap().success());
    let daemon = Pid::from_raw(world.read("pid").trim().parse().unwrap());
    kill(daemon, None).unwrap();
    kill(daemon, Signal::SIGKILL).unwrap();
}

#[test]
fn a_reader_that_sleeps_does_not_stop_the_gate() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script(
        "start",
        &format!("head -c 1000000 /dev/zero | tr '\\0' 'x' | fold -w 100\n: > {here}/up\n"),
    );
    world.request("backupctl --stop app").expect(0);
    let mut gate = world.spawn("backupctl --start app --timeout 20");
    // Nothing is read until the gate has ended; the pipe holds a fraction of the output.
    assert_eq!(gate.wait().unwrap().code(), Some(0));
    assert!(world.exists("up"));
    let mut seen = Vec::new();
    gate.stdout.take().unwrap().read_to_end(&mut seen).unwrap();
    assert!(seen.len() < 1_000_000);
}
