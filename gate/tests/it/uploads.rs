//! Uploads of an archive: a failure on the way to the remote costs no existing archive.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use nix::sys::signal::{Signal, kill};

use crate::harness::{World, have_rclone, is_root, pid};

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

/// A stand-in for rclone with one failing run: the nth run with this verb, and with `broken` also all later ones.
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
    // The runs after a single failure must work.
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

/// Names and content of the files in the folder of archives.
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
fn a_first_upload_that_sent_nothing_forecasts_no_night() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    // A file is in the place of the backup folder.
    world.write("remote/OdroidBackup", "");
    let answer = world.request(&world.sync());
    assert_ne!(answer.code, 0);
    assert!(
        answer.err.contains("complete as of: never") && !answer.err.contains("nights left"),
        "{}",
        answer.err
    );
}

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
        // The remote is gone from there on, also for the cleanup.
        failing_rclone(&world, verb, nth, true);
        let answer = world.request(&world.archive());
        assert_ne!(answer.code, 0, "{verb} {nth}");
        assert!(answer.err.contains("does that first"), "{}", answer.err);
        // The former archive and its manifest are there, under any name.
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
fn progress_comes_while_the_work_goes_on() {
    let world = World::new();
    // A message as rclone writes it, and one that it would not write.
    let stats = r#"{"level":"warning","msg":"x","stats":{"bytes":1000000,"totalBytes":4000000,"transfers":1,"totalTransfers":3,"speed":500000}}"#;
    let program = world.script(
        "slow",
        &format!(
            "if test \"$1\" = version; then exit; fi\nif test \"$1\" = lsjson; then echo '[]'; exit; fi\necho '{stats}' >&2\nsleep 300\necho second >&2\n"
        ),
    );
    world.configure_with("", &program);
    let mut gate = world.spawn(&world.archive());
    // The program does not end before this has been read.
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
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    let mut words = String::new();
    let mut stderr = gate.stderr.take().unwrap();
    gate.wait().unwrap();
    stderr.read_to_string(&mut words).unwrap();
    assert!(!words.contains("stats"), "{words}");
}
