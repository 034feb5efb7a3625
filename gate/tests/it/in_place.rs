//! `--restore --in-place`: the data is always the complete former tree or the complete restored tree, even after a
//! crash.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::harness::{Answer, World, have, have_rclone, is_root, names, wait_until};

const STRACE: &str = "/usr/bin/strace";

const RESTORE: [&str; 3] = ["--restore", "app", "--in-place"];

/// A world with an archive, and with other data since.
fn changed() -> World {
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.request(&world.archive()).expect(0);
    world.write("root/app/data/file", "changed");
    world.write("root/app/data/new", "since");
    world
}

/// The tree that currently has the name of the data.
fn data(world: &World) -> &'static str {
    let text = |name: &str| world.read(&format!("root/app/data/{name}"));
    match (
        text("file").as_str(),
        text("new").as_str(),
        text("folder/second").as_str(),
    ) {
        ("changed", "since", "more content") => "former",
        ("content", "", "more content") => "restored",
        other => panic!("half: {other:?}, {:?}", names(&world.path("root/app"))),
    }
}

fn beside(world: &World, prefix: &str) -> Vec<String> {
    let mut names = names(&world.path("root/app"));
    names.retain(|name| name.starts_with(prefix));
    names
}

#[track_caller]
fn is_at_rest(world: &World) {
    wait_until("the service is up and nothing is owed", || {
        world.exists("up") && !world.exists("state/leases/app.json") && world.keepers().is_empty()
    });
    assert!(names(&world.path("state/restores")).is_empty());
    assert!(beside(world, ".restoring-").is_empty());
}

#[test]
fn the_data_is_replaced_while_the_service_is_down_and_the_former_stays_beside() {
    if !have_rclone() {
        return;
    }
    let world = changed();
    let here = world.path("").display().to_string();
    // At the stop the former data is still in place, and at the start the restored data.
    for (verb, then) in [("stop", "rm -f"), ("start", ": >")] {
        world.script(
            verb,
            &format!("cat {here}/root/app/data/file > {here}/at-{verb}\n{then} {here}/up\n"),
        );
    }
    let answer = world.on_host(&RESTORE).expect(0);
    assert_eq!(
        (world.read("at-stop"), world.read("at-start")),
        ("changed".into(), "content".into())
    );
    assert_eq!(data(&world), "restored");
    is_at_rest(&world);
    let kept = beside(&world, "data.before-restore-");
    assert_eq!(kept.len(), 1);
    assert_eq!(world.read(&format!("root/app/{}/new", kept[0])), "since");
    assert!(beside(&world, "restored-").is_empty());
    assert!(
        answer.out.contains("app is up; it was down for ") && answer.out.contains(&kept[0]),
        "{}",
        answer.out
    );
    // `--list` shows it.
    let list = world.on_host(&["--list", "app"]).expect(0);
    assert!(list.out.contains(&kept[0]), "{}", list.out);
}

#[test]
fn a_service_that_was_down_stays_down_and_one_without_data_gets_it() {
    if !have_rclone() {
        return;
    }
    let world = changed();
    fs::remove_file(world.path("up")).unwrap();
    fs::remove_dir_all(world.path("root/app")).unwrap();
    let answer = world.on_host(&RESTORE).expect(0);
    assert!(
        answer.err.contains("did not exist and was made"),
        "{}",
        answer.err
    );
    assert_eq!(data(&world), "restored");
    assert!(!world.exists("up"));
    assert_eq!(names(&world.path("root/app")), ["data"]);
    // A rootless container passes through that folder.
    let folder = Command::new("stat")
        .args(["-c", "%a"])
        .arg(world.path("root/app"))
        .output()
        .unwrap();
    assert_eq!(folder.stdout, b"755\n");
}

#[test]
fn a_service_that_does_not_stop_keeps_its_data() {
    if !have_rclone() {
        return;
    }
    let world = changed();
    world.script("stop", "exit 1\n");
    let answer = world.on_host(&RESTORE).expect(69);
    assert!(
        answer.err.contains("what was restored is in "),
        "{}",
        answer.err
    );
    assert_eq!(data(&world), "former");
    is_at_rest(&world);
    assert_eq!(beside(&world, "restored-").len(), 1);
}

#[test]
fn a_service_that_does_not_come_up_is_told_with_the_way_back_and_tried_again() {
    if !have_rclone() {
        return;
    }
    let world = changed();
    let here = world.path("").display().to_string();
    world.script(
        "start",
        &format!("test -e {here}/mended || exit 1\n: > {here}/up\n"),
    );
    let answer = world.on_host(&RESTORE).expect(69);
    assert!(
        answer.err.contains("to go back: stop it, move "),
        "{}",
        answer.err
    );
    assert_eq!(data(&world), "restored");
    assert!(world.exists("state/leases/app.json"));
    world.write("mended", "");
    world.request("backupctl --start app").expect(0);
    is_at_rest(&world);
}

/// Kills the gate at the first, second, third … call that makes a rename durable, in the folders that record the data,
/// the pending restore and the lease: after each change.
#[test]
fn a_gate_that_is_killed_anywhere_leaves_the_former_data_or_the_restored_and_recover_ends_it() {
    if !have_rclone() || !have(STRACE) {
        return;
    }
    if !is_root() {
        eprintln!("SKIPPED: strace cannot follow a gate that hides its memory from its user");
        return;
    }
    let world = changed();
    let folders = ["root/app", "state/restores", "state/leases"].map(|name| world.path(name));
    let mut outcomes = Vec::new();
    for number in 1.. {
        let _ = fs::remove_file(world.path("trace.log"));
        let killed = Command::new(STRACE)
            .args(["-qq", "-e", "signal=none", "-o"])
            .arg(world.path("trace.log"))
            .args(["-e", "trace=fsync,unlinkat"])
            .arg("-e")
            .arg(format!("inject=fsync,unlinkat:signal=KILL:when={number}"))
            .args(
                folders
                    .iter()
                    .flat_map(|folder| [Path::new("-P"), folder.as_path()]),
            )
            .arg(env!("CARGO_BIN_EXE_backupctl"))
            .arg("--config")
            .arg(world.path("gate.toml"))
            .args(RESTORE)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log = world.read("trace.log");
        let last = log
            .lines()
            .rfind(|line| !line.starts_with("+++"))
            .unwrap_or_default();
        let last = last.split('(').next().unwrap_or_default().to_owned();
        let done = Answer::of(&killed).out.contains("it is in place");
        outcomes.push((last, data(&world)));
        let healed = if number % 2 == 0 || done {
            world.on_host(&["--recover"]).expect(0)
        } else {
            // The next restore repairs as well; a restore of a missing archive changes nothing else.
            world
                .on_host(&["--restore", "app", "--in-place", "--from", "2020-01-01"])
                .expect(69)
        };
        // Printed when the test fails.
        eprintln!(
            "{number} {:?}: {}{}",
            outcomes.last(),
            healed.out,
            healed.err
        );
        is_at_rest(&world);
        data(&world);
        if done && killed.status.success() {
            break;
        }
        // Back to the beginning.
        for name in names(&world.path("root/app")) {
            if name != "data" {
                fs::remove_dir_all(world.path("root/app").join(name)).unwrap();
            }
        }
        world.write("root/app/data/file", "changed");
        world.write("root/app/data/new", "since");
        assert!(number < 200, "{outcomes:?}");
    }
    for tree in ["former", "restored"] {
        assert!(
            outcomes.iter().any(|(_, left)| *left == tree),
            "{outcomes:?}"
        );
    }
    // One for the tree, one for the record, one for the lease, two for the exchange, and their ends.
    assert!(outcomes.len() > 7, "{outcomes:?}");
}

#[test]
fn a_start_waits_for_the_end_of_a_restore_that_left_the_data_without_its_name() {
    if !have_rclone() {
        return;
    }
    let world = changed();
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(world.path(name)).unwrap().ino()
    };
    world.request("backupctl --stop app").expect(0);
    fs::create_dir_all(world.path("root/app/restored-1/folder")).unwrap();
    world.write("root/app/restored-1/file", "content");
    world.write("root/app/restored-1/folder/second", "more content");
    // The state between the two renames on a file system that cannot exchange names.
    let record = serde_json::json!({
        "fresh": "restored-1", "kept": "data.before-restore-1",
        "old": inode("root/app/data"), "new": inode("root/app/restored-1"),
    });
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir(world.path("state/restores")).unwrap();
    fs::set_permissions(
        world.path("state/restores"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    world.write("state/restores/app.json", &record.to_string());
    fs::rename(
        world.path("root/app/data"),
        world.path("root/app/data.before-restore-1"),
    )
    .unwrap();
    let answer = world.request("backupctl --start app").expect(69);
    assert!(
        answer.err.contains("backupctl --recover app"),
        "{}",
        answer.err
    );
    assert!(!world.exists("up"));
    let answer = world.on_host(&["--recover", "app"]).expect(0);
    assert!(
        answer.err.contains("is what was restored"),
        "{}",
        answer.err
    );
    assert_eq!(data(&world), "restored");
    is_at_rest(&world);
}

fn database(path: &Path, words: &str) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TABLE t (words TEXT); INSERT INTO t VALUES ('{words}');"
        ))
        .unwrap();
}

fn words(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection
        .query_row("SELECT words FROM t", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn the_runners_database_comes_from_its_snapshot() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.add_service("lightflow");
    let data = world.path("root/lightflow/data");
    fs::create_dir(data.join("backup")).unwrap();
    database(&data.join("lightflow.db"), "in use");
    database(&data.join("backup/lightflow.db"), "snapshot");
    world.write("root/lightflow/data/lightflow.db-wal", "torn");
    world.write("root/lightflow/data/lightflow.db-shm", "torn");
    let archive = format!(
        "backupctl --archive lightflow --path {} --remote onedrive:/OdroidBackup",
        data.display()
    );
    world.request(&archive).expect(0);
    // A restore beside the data is only explained.
    let answer = world.on_host(&["--restore", "lightflow"]).expect(0);
    assert!(
        answer.out.contains("backup/lightflow.db to lightflow.db"),
        "{}",
        answer.out
    );
    // A `--stop` never stops it; a restore in its place has to.
    world.on_host(&["--stop", "lightflow"]).expect(77);
    let answer = world
        .on_host(&["--restore", "lightflow", "--in-place"])
        .expect(0);
    assert!(
        answer.out.contains("stopping\n") && answer.out.contains("starting\n"),
        "{}",
        answer.out
    );
    assert_eq!(words(&data.join("lightflow.db")), "snapshot");
    assert!(!data.join("lightflow.db-wal").exists() && !data.join("lightflow.db-shm").exists());
    let aside: Vec<String> = names(&data)
        .into_iter()
        .filter(|name| name.starts_with("set-aside-"))
        .collect();
    assert_eq!(
        names(&data.join(&aside[0])),
        ["lightflow.db", "lightflow.db-shm", "lightflow.db-wal"]
    );
    // A bad snapshot replaces no data.
    fs::write(
        data.join("backup/lightflow.db"),
        b"SQLite format 3\0 and no more",
    )
    .unwrap();
    world.request(&archive).expect(0);
    let answer = world
        .on_host(&["--restore", "lightflow", "--in-place"])
        .expect(65);
    assert!(
        answer.err.contains("data/backup/lightflow.db: "),
        "{}",
        answer.err
    );
    assert_eq!(words(&data.join("lightflow.db")), "snapshot");
}
