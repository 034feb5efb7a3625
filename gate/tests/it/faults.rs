//! What goes wrong, and what must not come of it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Answer, World, have_rclone, is_root, wait_until};

fn pid(child: &std::process::Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// A program in rclone's place that starts, leaves a daemon behind, and does not end.
fn hanging_rclone(world: &World) {
    let here = world.path("").display().to_string();
    let program = world.script("hang", &format!(
        "setsid sh -c 'sleep 300; : {here}' > /dev/null 2>&1 &\n: > {here}/hanging\ntrap '' TERM\nwhile :; do sleep 0.1; done\n"
    ));
    world.configure_with("", &program);
}

/// Whatever a request started is gone; each process names the world in its command line.
fn nothing_left(world: &World) {
    wait_until("no process of this world is left", || {
        world.processes().is_empty()
    });
}

#[test]
fn an_empty_source_wipes_nothing() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    fs::remove_dir_all(world.path("root/app/data")).unwrap();
    fs::create_dir(world.path("root/app/data")).unwrap();
    for line in [world.sync(), world.archive()] {
        let answer = world.request(&line).expect(76);
        assert!(answer.err.contains("empty"), "{}", answer.err);
    }
    assert_eq!(world.listing("app/data"), ["file", "folder"]);
}

#[test]
fn a_remote_that_hangs_times_out_and_nothing_stays_behind() {
    let world = World::new();
    hanging_rclone(&world);
    let begun = Instant::now();
    let answer = world
        .request(&format!("{} --timeout 1", world.sync()))
        .expect(124);
    assert!(answer.err.contains("timed out"), "{}", answer.err);
    assert!(begun.elapsed() < Duration::from_secs(6));
    nothing_left(&world);
    // The lock is free again.
    world.request("backupctl --stop app --timeout 2").expect(0);
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
    // The daemon has a session of its own, and nobody's signal reaches it. (That of another test's gate may: each
    // looks after all.)
    world.request("backupctl --start app").expect(0);
    nothing_left(&world);
}

#[test]
fn a_start_that_waited_for_a_gate_that_was_killed_ends_what_that_left_behind() {
    let world = World::new();
    let here = world.path("").display().to_string();
    // What the stop command leaves would take the service down again after the start.
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
    assert!(still.is_some_and(|line| line.contains("root/app/data")));
    // The other stream is read on: sudo notices on the one that it has something for.
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
    let program = world.script("polite", &format!("touch {here}/hanging\nexec sleep 300\n"));
    world.configure_with("", &program);
    let gate = world.spawn(&world.sync());
    wait_until("rclone runs", || world.exists("hanging"));
    let begun = Instant::now();
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    Answer::of(&gate.wait_with_output().unwrap()).expect(69);
    assert!(
        begun.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_service_that_does_not_exist_is_not_stopped() {
    let world = World::new();
    world.script("status", "exit 4\n");
    let answer = world.request("backupctl --stop app").expect(69);
    assert!(answer.err.contains("no such service"), "{}", answer.err);
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
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
    world.script("start", &format!("setsid sh -c 'echo $$ > {here}/pid; exec sleep 60' &\nwhile ! test -s {here}/pid; do :; done\n"));
    world.script(
        "status",
        &format!("test -s {here}/pid && kill -0 $(cat {here}/pid) && exit 0; exit 3\n"),
    );
    let begun = Instant::now();
    // The daemon keeps the standard output that it inherited; the gate does not wait for it.
    let mut gate = world.ssh_gate("backupctl --start app");
    gate.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(gate.status().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(3));
    let daemon = Pid::from_raw(world.read("pid").trim().parse().unwrap());
    kill(daemon, None).unwrap();
    kill(daemon, Signal::SIGKILL).unwrap();
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

/// A stand-in for rclone, of which one run fails: the nth of those with this verb, and all later ones where
/// `broken` says so.
fn failing_rclone(world: &World, verb: &str, nth: usize, broken: bool) {
    let here = world.path("").display().to_string();
    let _ = fs::remove_file(world.path("count"));
    let from = if broken { "-ge" } else { "-eq" };
    let program = world.script(
        "failing",
        &format!(
            "test $1 = {verb} && echo >> {here}/count\ntest \"$(wc -l < {here}/count)\" {from} {nth} && exit 1\nexec /usr/bin/rclone \"$@\"\n"
        ),
    );
    // An end that is not for the run that failed alone: what comes after is to work.
    let program = if broken {
        program
    } else {
        world.script(
            "failing-once",
            &format!("test $1 = {verb} || exec /usr/bin/rclone \"$@\"\nexec {program} \"$@\"\n"),
        )
    };
    world.write("count", "");
    world.configure_with("", &program);
}

/// Names and content of what lies in the folder of archives.
fn folder(world: &World) -> Vec<(String, Vec<u8>)> {
    world
        .listing("app/archives")
        .into_iter()
        .map(|name| {
            let file = world.path("remote/OdroidBackup/app/archives").join(&name);
            (name, fs::read(file).unwrap())
        })
        .collect()
}

const UPLOAD: [(&str, usize); 7] = [
    ("copyto", 1),
    ("copyto", 2),
    ("check", 1),
    ("moveto", 1),
    ("moveto", 2),
    ("moveto", 3),
    ("moveto", 4),
];

#[test]
fn a_failed_upload_changes_no_archive() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    let before = folder(&world);
    assert_eq!(before.len(), 2);
    world.write("root/app/data/file", "changed since");
    for (verb, nth) in UPLOAD {
        failing_rclone(&world, verb, nth, false);
        let answer = world.request(&world.archive());
        assert_ne!(answer.code, 0, "{verb} {nth}");
        assert!(folder(&world) == before, "{verb} {nth}: {}", answer.err);
    }
}

#[test]
fn what_an_interrupted_upload_leaves_is_put_in_order_by_the_next_archive() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    for (round, (verb, nth)) in UPLOAD.into_iter().enumerate() {
        let before = folder(&world);
        world.write("root/app/data/file", &format!("round {round}"));
        // The remote is gone from there on, for the cleaning as well.
        failing_rclone(&world, verb, nth, true);
        let answer = world.request(&world.archive());
        assert_ne!(answer.code, 0, "{verb} {nth}");
        assert!(answer.err.contains("does that first"), "{}", answer.err);
        // Whatever it is called by now, the former archive is there, and its manifest.
        for (_, content) in &before {
            let left = folder(&world);
            assert!(left.iter().any(|(_, c)| c == content), "{verb} {nth}");
        }
        world.configure("");
        world.request(&world.archive()).expect(0);
        let after = folder(&world);
        let names: Vec<&String> = after.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(after != before);
    }
}

#[test]
fn an_upload_that_arrives_damaged_is_noticed() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    let program = world.script("damaging", &format!(
        "/usr/bin/rclone \"$@\" || exit\ntest $1 = copyto && printf x | dd of={here}/remote/OdroidBackup/app/archives/$(basename $2) bs=1 seek=20 conv=notrunc 2> /dev/null\nexit 0\n"
    ));
    world.configure_with("", &program);
    world.request(&world.archive()).expect(65);
    assert_eq!(world.listing("app/archives"), Vec::<String>::new());
}

#[test]
fn a_full_spool_is_said_before_anything_is_packed() {
    if !is_root() {
        eprintln!("SKIPPED: only root can mount a small disk");
        return;
    }
    let world = World::new();
    let spool = world.path("spool");
    fs::create_dir(&spool).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"])
        .arg(&spool)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here");
        return;
    }
    fs::write(world.path("root/app/data/large"), vec![7; 4 << 20]).unwrap();
    let answer = world.request(&world.archive());
    Command::new("umount").arg(&spool).status().unwrap();
    let answer = answer.expect(73);
    assert!(answer.err.contains("bytes free"), "{}", answer.err);
}

#[test]
fn a_missing_rclone_is_named() {
    let world = World::new();
    world.configure_with("", "/nonexistent/rclone");
    let answer = world.request(&world.sync()).expect(69);
    assert!(answer.err.contains("/nonexistent/rclone"), "{}", answer.err);
}

#[test]
fn progress_comes_while_the_work_goes_on() {
    let world = World::new();
    // As rclone says it, and something that it would not say.
    let stats = r#"{"level":"warning","msg":"x","stats":{"bytes":1000000,"totalBytes":4000000,"transfers":1,"totalTransfers":3,"speed":500000}}"#;
    let program = world.script(
        "slow",
        &format!(
            "if test \"$1\" = lsjson; then echo '[]'; exit; fi\necho '{stats}' >&2\nsleep 2\necho second >&2\n"
        ),
    );
    world.configure_with("", &program);
    let mut gate = world.spawn(&world.archive());
    let begun = Instant::now();
    let mut lines = BufReader::new(gate.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.ends_with("(uploading)"));
    assert_eq!(
        lines.next().as_deref(),
        Some(
            "progress: 25% 1000000 of 4000000 bytes, 1 of 3 files, 0.5 MB/s, 6 s left (uploading)"
        )
    );
    assert!(begun.elapsed() < Duration::from_millis(1900));
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    let mut words = String::new();
    let mut stderr = gate.stderr.take().unwrap();
    gate.wait().unwrap();
    stderr.read_to_string(&mut words).unwrap();
    assert!(!words.contains("stats"), "{words}");
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
