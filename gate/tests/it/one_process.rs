//! One rclone for a whole action. The program in its place uses a local folder as the remote, and gives any answer that
//! the test requests.

use std::fs;

use nix::sys::signal::{Signal, kill};

use crate::harness::{Answer, World, have, pid, wait_until};

/// A program that says it is rclone 1.75 and answers requests; the first one for `fault`'s path has that fault.
fn world(fault: &str) -> Option<World> {
    if !have("/usr/bin/python3") {
        return None;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    let here = here.trim_end_matches('/');
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rcd.py");
    let program = world.script(
        "rcd",
        &format!(
            "echo \"$1\" >> {here}/runs\ncase $1 in\nversion) echo 'rclone v1.75.2' ;;\nrcd) exec /usr/bin/python3 -B {server} {here}/remote {here}/fault {here}/requests ;;\n*) exit 9 ;;\nesac\n"
        ),
    );
    world.write("fault", fault);
    world.configure_with("", &program);
    Some(world)
}

/// The action left no process and no file in the spool.
fn is_clean(world: &World) {
    wait_until("no process is left", || world.running().is_empty());
    let spool = world.path("spool/archive");
    let left = fs::read_dir(spool).map_or(0, Iterator::count);
    assert!(left <= 1, "{left} folders in the spool");
}

fn stored(answer: &Answer) -> bool {
    answer.out.contains("is stored in")
}

#[test]
fn an_archive_takes_one_process_and_few_requests() {
    let Some(world) = world("none") else { return };
    let answer = world.request(&world.archive()).expect(0);
    assert!(
        answer.out.contains("\"checked\":\"hash\""),
        "{}",
        answer.out
    );
    assert_eq!(world.read("runs"), "version\nrcd\n");
    let requests = world.read("requests");
    // Four lists of the archives and one of the days, two uploads, five questions for hashes, and two moves.
    assert_eq!(requests.lines().count(), 14, "{requests}");
    assert_eq!(world.listing("app/archives").len(), 2);
    is_clean(&world);
    // The second archive replaces the first, and is read back.
    world.request(&world.archive()).expect(0);
    assert_eq!(world.listing("app/archives").len(), 2);
    let verified = world.on_host(&["--verify", "app"]).expect(0);
    assert!(verified.out.contains("is good"), "{}", verified.out);
    is_clean(&world);
}

/// The faults of an answer that `rcd.py` knows.
const FAULTS: [&str; 13] = [
    "nothing",
    "garbage",
    "half",
    "two",
    "long-head",
    "long-chunk",
    "no-json",
    "deep",
    "no-fields",
    "null",
    "status",
    "endless",
    "die",
];

/// For any answer to the first request for `path`, the gate reports an archive as stored exactly when it is stored.
fn is_not_believed(path: &str, faults: &[&str]) {
    for how in faults {
        let Some(world) = world(&format!("{how} {path}")) else {
            return;
        };
        let answer = world.request(&world.archive());
        let code = answer.code;
        assert!(matches!(code, 0 | 65 | 69), "{how}: {code} {}", answer.err);
        assert_eq!(code == 0, stored(&answer), "{how}: {}", answer.out);
        let names = world.listing("app/archives");
        let whole = names.iter().filter(|name| name.ends_with(".gz")).count();
        assert_eq!(code == 0, whole == 2, "{how}: {names:?} {}", answer.err);
        is_clean(&world);
    }
}

#[test]
fn a_false_list_is_not_believed() {
    is_not_believed("operations/list", &FAULTS);
}

#[test]
fn a_false_answer_to_an_upload_is_not_believed() {
    // An upload is repeated after a pause of seconds.
    let faults = ["half", "no-fields", "status"];
    is_not_believed("operations/copyfile", &faults);
}

#[test]
fn a_false_hash_is_not_believed() {
    is_not_believed("operations/stat", &FAULTS);
}

#[test]
fn a_false_answer_to_a_move_is_not_believed() {
    is_not_believed("operations/movefile", &FAULTS);
}

#[test]
fn a_lost_answer_to_a_change_is_looked_after() {
    let Some(world) = world("lost operations/movefile") else {
        return;
    };
    let answer = world.request(&world.archive()).expect(0);
    assert!(
        stored(&answer) && answer.err.contains("it was done"),
        "{}",
        answer.err
    );
    assert_eq!(world.listing("app/archives").len(), 2);
}

#[test]
fn a_file_that_breaks_off_is_read_on_from_there() {
    let Some(world) = world("none") else { return };
    world.write("root/app/data/large", &"some words\n".repeat(100_000));
    world.request(&world.archive()).expect(0);
    world.write("fault", "break .tar.gz");
    let answer = world.on_host(&["--verify", "app"]).expect(0);
    assert!(answer.out.contains("is good"), "{}", answer.out);
    let requests = world.read("requests");
    let reads = requests.lines().filter(|path| path.ends_with(".tar.gz"));
    assert_eq!(reads.count(), 2, "{requests}");
}

#[test]
fn a_process_that_does_not_answer_ends_with_the_deadline() {
    let Some(world) = world("hang operations/copyfile") else {
        return;
    };
    let line = format!("{} --timeout 4", world.archive());
    let answer = world.request(&line).expect(124);
    assert!(
        answer.err.contains("uploading the archive"),
        "{}",
        answer.err
    );
    is_clean(&world);
}

#[test]
fn nothing_is_left_of_a_gate_that_is_killed() {
    let Some(world) = world("hang operations/copyfile") else {
        return;
    };
    let mut gate = world.spawn(&world.archive());
    wait_until("the upload has begun", || {
        world.read("requests").contains("operations/copyfile")
    });
    kill(pid(&gate), Signal::SIGKILL).unwrap();
    gate.wait().unwrap();
    wait_until("no process is left", || world.running().is_empty());
}
