//! A remote that throttles, is away or breaks connections: the gate waits for temporary failures to pass.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::{Signal, kill};

use crate::harness::{Answer, World, have_rclone, pid, wait_until};

const REFUSED: &str = "dial tcp 192.0.2.1:443: connect: connection refused";
const THROTTLED: &str = "activityLimitReached: 429 Too Many Requests";

/// An rclone that runs `body` first; the shell variable `n` counts the runs with the same verb.
fn rclone_that(world: &World, body: &str) {
    let here = world.path("").display().to_string();
    let program = world.script(
        "outage",
        &format!(
            "error() {{ echo \"{{\\\"level\\\":\\\"error\\\",\\\"msg\\\":\\\"$1\\\"}}\" >&2; }}\necho >> {here}/runs-$1\nn=$(wc -l < {here}/runs-$1)\n{body}\nexec /usr/bin/rclone \"$@\"\n"
        ),
    );
    world.configure_with("", &program);
}

/// Lets an action wait for a second only while its service is down.
fn impatient(world: &World) {
    world.set("[rclone]\nwait_while_down = 1");
}

fn waited(answer: &Answer) -> Vec<serde_json::Value> {
    answer
        .out
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("result: ")?).ok())
        .filter(|line: &serde_json::Value| line["kind"] == "waited")
        .collect()
}

#[test]
fn an_archive_outlasts_an_outage_at_each_of_its_runs() {
    if !have_rclone() {
        return;
    }
    for verb in ["lsjson", "copyto", "check", "moveto"] {
        let world = World::new();
        rclone_that(
            &world,
            &format!("if test $1 = {verb} && test $n = 1; then error '{REFUSED}'; exit 1; fi"),
        );
        let answer = world.request(&world.archive()).expect(0);
        assert!(
            answer
                .out
                .contains("; the remote cannot be reached, next try in 2 s)"),
            "{verb}: {}",
            answer.out
        );
        let waited = waited(&answer);
        assert_eq!(waited.len(), 1, "{verb}");
        assert_eq!(waited[0]["cause"], "unreachable");
        assert_eq!(waited[0]["remote"], "onedrive");
        assert_eq!(world.archives().len(), 1);
    }
}

#[test]
fn a_sync_outlasts_throttling() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    rclone_that(
        &world,
        &format!("if test $1 = copy && test $n = 1; then error '{THROTTLED}'; exit 1; fi"),
    );
    let answer = world.request(&world.sync()).expect(0);
    assert_eq!(waited(&answer).len(), 1, "{}", answer.out);
    assert!(world.exists("remote/OdroidBackup/app/data/folder/second"));
}

#[test]
fn a_deadline_that_passes_while_throttled_says_so() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    // rclone reports its wait only at the level of debugging; or rclone gives up, and the gate waits.
    for body in [
        format!("if test $1 = lsjson; then error '{THROTTLED}'; exit 1; fi"),
        "if test $1 = lsjson; then echo '{\"level\":\"debug\",\"msg\":\"Too many requests. Trying again in 120 seconds.\"}' >&2; sleep 300; fi".to_owned(),
    ] {
        rclone_that(&world, &body);
        let answer = world
            .request(&format!("{} --timeout 6", world.archive()))
            .expect(124);
        assert!(
            answer
                .err
                .contains("the deadline passed while waiting (throttled by the remote)"),
            "{}",
            answer.err
        );
        assert!(answer.out.contains("; throttled by the remote, next try in "));
        assert!(!answer.err.contains("debug"), "{}", answer.err);
    }
}

#[test]
fn a_service_that_is_down_is_not_kept_waiting() {
    if !have_rclone() {
        return;
    }
    for body in [
        format!("if test $1 = lsjson; then error '{THROTTLED}'; exit 1; fi"),
        "if test $1 = lsjson; then echo '{\"level\":\"debug\",\"msg\":\"Too many requests. Trying again in 120 seconds.\"}' >&2; sleep 300; fi".to_owned(),
    ] {
        let world = World::new();
        rclone_that(&world, &body);
        impatient(&world);
        // The service stays down until its archive is on the remote.
        world.configure_app("early_start = false");
        world.on_host(&["--stop", "app"]).expect(0);
        let answer = world.request(&world.archive()).expect(69);
        assert!(
            answer.err.contains("because app is down meanwhile"),
            "{}",
            answer.err
        );
        world.on_host(&["--start", "app"]).expect(0);
        assert!(world.exists("up"));
    }
}

#[test]
fn a_failure_that_does_not_pass_is_not_waited_for() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    rclone_that(
        &world,
        "if test $1 = copyto; then error 'AccessDenied: no'; exit 1; fi",
    );
    let answer = world.request(&world.archive()).expect(69);
    assert_eq!(waited(&answer).len(), 0);
    assert!(!answer.out.contains("next try"), "{}", answer.out);
}

#[test]
fn a_read_that_breaks_goes_on_where_it_was() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let noise: Vec<u8> = (0..300_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    fs::write(world.path("root/app/data/noise"), noise).unwrap();
    world.request(&world.archive()).expect(0);
    // The manifest breaks once, the archive twice; each time after some bytes.
    let here = world.path("").display().to_string();
    rclone_that(
        &world,
        &format!(
            "if test $1 = cat; then\necho \"$@\" >> {here}/reads\nif test $n -lt 6 && test $n != 2; then /usr/bin/rclone \"$@\" 2> /dev/null | head -c 150; error 'Failed to cat: unexpected EOF'; exit 1; fi\nfi"
        ),
    );
    let answer = world.on_host(&["--verify", "app"]).expect(0);
    assert!(answer.out.contains("is good"), "{}", answer.out);
    let reads = world.read("reads");
    let offsets: Vec<&str> = reads
        .lines()
        .map(|line| {
            let after = line.split("--offset ").nth(1).unwrap_or("0");
            after.split(' ').next().unwrap()
        })
        .collect();
    assert_eq!(offsets, ["0", "150", "0", "150", "300", "450"], "{reads}");
    assert_eq!(waited(&answer).len(), 4, "{}", answer.out);
}

#[test]
fn an_upload_that_arrived_is_taken_over_by_the_next_archive() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    rclone_that(
        &world,
        &format!("if test $1 = check; then : > {here}/checking; sleep 300; fi"),
    );
    let mut gate = world.spawn(&world.archive());
    wait_until("it compares", || world.exists("checking"));
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    gate.wait().unwrap();
    let inodes = || -> Vec<(String, u64)> {
        let folder = world.path("remote/OdroidBackup/app/archives");
        world
            .listing("app/archives")
            .into_iter()
            .map(|name| {
                let inode = fs::metadata(folder.join(&name)).unwrap().ino();
                (name.trim_end_matches(".partial").to_owned(), inode)
            })
            .collect()
    };
    let before = inodes();
    assert_eq!(before.len(), 2, "{before:?}");
    world.configure("");
    world.request(&world.archive()).expect(0);
    assert_eq!(inodes(), before);
    assert_eq!(world.archives().len(), 1);
    world.on_host(&["--verify", "app"]).expect(0);
}
