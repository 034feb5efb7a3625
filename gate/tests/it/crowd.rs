//! Many requests at the same time: the number of waiting requests is bounded, and a start overtakes them all.

use std::process::Child;

use serde_json::Value;

use crate::harness::{Answer, World, kill_at_once, pid, wait_long, wait_until};

/// Requests beside the active one.
const MANY: usize = 60;

/// Slots for waiting requests.
const SLOTS: usize = 8;

/// A world with a stop that lasts until the file `go` is there.
fn world() -> World {
    let world = World::new();
    world.set(&format!("[limits]\nwaiting = {SLOTS}"));
    let here = world.path("").display().to_string();
    world.script(
        "stop",
        &format!(
            ": > {here}/stopping\nuntil test -e {here}/go; do sleep 0.05; done\nrm -f {here}/up\n"
        ),
    );
    world
}

/// The lines of the audit log about requests with this word, as event and request.
fn audited(world: &World, word: &str) -> Vec<(String, String)> {
    let log = world.read("audit.jsonl");
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: Value| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("event"), text("request"))
        })
        .filter(|(_, request)| request.contains(word))
        .collect()
}

/// The children that have ended, with their answers; the others stay in the list.
fn ended(children: &mut Vec<Child>) -> Vec<Answer> {
    let (done, rest): (Vec<Child>, Vec<Child>) = std::mem::take(children)
        .into_iter()
        .map(|mut child| {
            let done = child.try_wait().unwrap().is_some();
            (child, done)
        })
        .fold(
            (Vec::new(), Vec::new()),
            |(mut done, mut rest), (child, is_done)| {
                if is_done {
                    done.push(child)
                } else {
                    rest.push(child)
                }
                (done, rest)
            },
        );
    *children = rest;
    done.into_iter()
        .map(|child| Answer::of(&child.wait_with_output().unwrap()))
        .collect()
}

#[test]
fn waiting_requests_are_bounded_and_a_start_passes_them() {
    let world = world();
    let mut first = world.spawn("backupctl --stop app --timeout 300");
    wait_long("the first stop is at work", || world.exists("stopping"));
    let mut crowd: Vec<Child> = (0..MANY)
        .map(|_| world.spawn("backupctl --stop app --timeout 300"))
        .collect();
    let mut refused = Vec::new();
    wait_long("all but those with a slot are refused", || {
        refused.extend(ended(&mut crowd));
        crowd.len() == SLOTS
    });
    for answer in refused {
        assert!(
            answer
                .err
                .contains("8 requests wait already, as many as limits.waiting allows"),
            "{}",
            answer.err
        );
        assert_eq!(answer.code, 69);
    }
    assert!(first.try_wait().unwrap().is_none());
    // The start cancels the stop, which brings the service back, and comes before the eight others.
    let answer = world.request("backupctl --start app --timeout 120");
    assert_eq!(answer.code, 0, "{}\n{}", answer.out, answer.err);
    assert_eq!(first.wait().unwrap().code(), Some(69));
    let events = audited(&world, "app");
    let started = events
        .iter()
        .position(|(event, request)| event == "done" && request.contains("--start"))
        .unwrap();
    let before = &events[..started];
    assert!(
        !before
            .iter()
            .any(|(event, request)| event == "done" && request.contains("--stop")),
        "{before:?}"
    );
    // Killed waiters leave no slot taken.
    let pids: Vec<_> = crowd.iter().map(pid).collect();
    kill_at_once(&pids);
    for mut child in crowd {
        child.wait().unwrap();
    }
    std::fs::remove_file(world.path("stopping")).ok();
    world
        .request("backupctl --start app --timeout 120")
        .expect(0);
    std::fs::remove_file(world.path("stopping")).ok();
    let mut blocker = world.spawn("backupctl --stop app --timeout 300");
    wait_long("the stop is at work", || world.exists("stopping"));
    let mut late: Vec<Child> = (0..SLOTS)
        .map(|_| world.spawn("backupctl --stop app --timeout 300"))
        .collect();
    let one_more = world.spawn("backupctl --stop app --timeout 300");
    late.push(one_more);
    let mut answers = Vec::new();
    wait_long("one of nine is refused", || {
        answers.extend(ended(&mut late));
        late.len() == SLOTS
    });
    assert_eq!(answers.len(), 1);
    world.write("go", "");
    assert_eq!(blocker.wait().unwrap().code(), Some(0));
    for child in late {
        Answer::of(&child.wait_with_output().unwrap()).expect(0);
    }
    world
        .request("backupctl --start app --timeout 120")
        .expect(0);
}

#[test]
fn requests_leave_the_lock_to_a_start_and_to_the_end_of_a_lease() {
    for wish in ["start", "next"] {
        let world = World::new();
        world.request("backupctl --start app").expect(0);
        let held = std::fs::File::create(world.path(&format!("lock/app.{wish}"))).unwrap();
        held.lock().unwrap();
        for line in [world.sync(), "backupctl --stop app".to_owned()] {
            world.request(&format!("{line} --timeout 1")).expect(124);
        }
        assert!(world.exists("up"));
        world.request("backupctl --start app").expect(0);
        world.on_host(&["--recover", "app"]).expect(0);
        drop(held);
        world.request("backupctl --stop app").expect(0);
        world.request("backupctl --start app").expect(0);
    }
}

#[test]
fn stops_of_a_day_are_counted_shown_and_refused_where_that_is_wished() {
    let world = World::new();
    let limited = |line: &str| world.set(&format!("[limits]\nstops_per_day = 2\n{line}"));
    limited("");
    for number in 1..=3 {
        let stopped = world.request("backupctl --stop app").expect(0);
        assert_eq!(
            stopped
                .out
                .contains("\"code\":\"many_stops\",\"subject\":\"app\""),
            number > 2,
            "{number}: {}",
            stopped.out
        );
        world.request("backupctl --start app").expect(0);
    }
    let status = world.on_host(&["--status", "app"]).expect(0);
    assert!(
        status.out.contains("stopped 3 times today"),
        "{}",
        status.out
    );
    let status = world.on_host(&["--status", "app", "--json"]).expect(0);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status[0]["stops_today"], 3);
    let doctor = world.on_host(&["--doctor", "--json"]);
    let told: Vec<Value> = serde_json::from_str(&doctor.out).unwrap();
    let counted = |one: &Value| {
        let what = one["what"].as_str().unwrap();
        one["hop"] == "services" && what.contains("app was stopped 3 times today, more than 2")
    };
    assert!(told.iter().any(counted), "{}", doctor.out);
    limited("refuse_more_stops = true\n");
    let refused = world.request("backupctl --stop app").expect(77);
    assert!(
        refused.err.contains("limits.stops_per_day"),
        "{}",
        refused.err
    );
    assert!(world.exists("up"));
    // An unreadable record counts nothing and blocks nothing.
    world.write("state/stops/app.json", "{ torn");
    world.request("backupctl --stop app").expect(0);
    world.request("backupctl --start app").expect(0);
    wait_until("it is counted again", || {
        world.read("state/stops/app.json").ends_with(":1}")
    });
}

/// A script in rclone's place that does this in its temporary folder.
fn filled(body: &str) -> World {
    let world = World::new();
    let rclone = world.script("filler", &format!("cd \"$TMPDIR\" || exit 1\n{body}\n"));
    world.configure_with("", &rclone);
    world
}

#[test]
fn a_program_in_rclones_place_cannot_fill_the_state_folder() {
    for body in [
        "i=0; while :; do head -c 4000000 /dev/zero >$i; i=$((i+1)); done",
        "i=0; while :; do : >$i; i=$((i+1)); done",
        "cd \"$(dirname \"$(readlink /proc/self/fd/8)\")\"/*/conf 2>/dev/null || cd /proc/self/fd/8; i=0; while :; do head -c 4000000 /dev/zero >rclone.conf$i; i=$((i+1)); done",
    ] {
        let world = filled(body);
        let answer = world.request(&format!("{} --timeout 120", world.sync()));
        assert_eq!(answer.code, 69, "{body}: {}\n{}", answer.out, answer.err);
        assert!(
            answer.err.contains("rclone was ended, because it filled "),
            "{body}: {}",
            answer.err
        );
        // The folders are empty again.
        let du = std::process::Command::new("du")
            .args(["-s", "--block-size=1K"])
            .arg(world.path("state"))
            .output()
            .unwrap();
        let words = String::from_utf8(du.stdout).unwrap();
        let taken: u64 = words.split_whitespace().next().unwrap().parse().unwrap();
        assert!(taken < 1000, "{body}: {words}");
    }
}

#[test]
fn folders_nested_without_end_are_cleared_away() {
    let world = filled(
        "i=0; while [ $i -lt 700 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done; : >end; sleep 0.1; exit 1",
    );
    for _ in 0..2 {
        let answer = world.request(&world.sync());
        assert_eq!(answer.code, 69, "{}", answer.err);
        assert!(!answer.err.contains("temporary folder"), "{}", answer.err);
    }
    let left = crate::harness::names(&world.path("state/tmp/0"));
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn refused_requests_fill_a_bounded_part_of_the_disk() {
    let world = World::new();
    // One byte less than a rotation, made by hand: writing it with requests would take hours.
    let line = format!("{{\"old\":\"{}\"}}\n", "x".repeat(1000));
    let full = line.repeat((8 << 20) / line.len());
    for round in 0..3 {
        world.write("audit.jsonl", &full);
        for _ in 0..2 {
            world.request("backupctl --stop nobody; id").expect(64);
            world.request("backupctl --stop nobody").expect(77);
        }
        assert!(world.read("audit.jsonl").len() < 10_000, "{round}");
        assert!(world.read("audit.jsonl.1").len() <= 8 << 20);
    }
    assert!(world.exists("audit.jsonl.3") && !world.exists("audit.jsonl.5"));
}
