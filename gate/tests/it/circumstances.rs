//! A copy of a running service, or of a directory that is not the expected one, causes a clear warning and replaces no
//! good archive.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use crate::harness::{World, have_rclone, is_root};
use crate::retention::codes;

/// The content of `data/file` in the archive of today, read by GNU tar.
fn archived(world: &World) -> String {
    let name = world.archives().remove(0);
    let archive = world.path("remote/OdroidBackup/app/archives").join(name);
    let out = Command::new("tar")
        .arg("-xzOf")
        .arg(archive)
        .arg("data/file")
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn an_archive_of_a_running_service_never_replaces_one_that_was_made_while_it_was_down() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    // The service is up: the archive is made, with a warning.
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), ["service_up"]);
    assert!(answer.err.contains("app is up"), "{}", answer.err);
    // While the service is down the gate gives no warning and replaces the other archive.
    world.request("backupctl --stop app").expect(0);
    world.write("root/app/data/file", "at rest");
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), Vec::<String>::new());
    world.request("backupctl --start app").expect(0);
    assert_eq!(archived(&world), "at rest");
    // "Retry from the failed step" skips the stop.
    world.write("root/app/data/file", "torn");
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), ["service_up", "archive_kept"]);
    assert_eq!(archived(&world), "at rest");
    // With a stop it is made anew.
    world.request("backupctl --stop app").expect(0);
    world.write("root/app/data/file", "at rest again");
    world.request(&world.archive()).expect(0);
    world.request("backupctl --start app").expect(0);
    assert_eq!(archived(&world), "at rest again");
}

#[test]
fn a_service_that_is_started_meanwhile_is_named_by_sync_and_archive() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.request("backupctl --stop app").expect(0);
    world.write("up", "another unit did that");
    for line in [world.sync(), world.archive()] {
        let answer = world.request(&line).expect(0);
        assert_eq!(codes(&answer), ["service_up"]);
        let told = "although the gate stopped it";
        assert!(answer.err.contains(told), "{}", answer.err);
    }
    world.request("backupctl --start app").expect(0);
}

#[test]
fn a_service_that_comes_up_while_it_is_packed_is_named_and_replaces_nothing() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.configure_app("early_start = false");
    world.request("backupctl --stop app").expect(0);
    world.write("root/app/data/file", "at rest");
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), Vec::<String>::new());
    // The service is up when the first file lies in the spool.
    let here = world.path("").display().to_string();
    let former = world.read("bin/status");
    let spool = format!("for f in {here}spool/app/*; do test -e $f && exit 0; done");
    let flips = |code: &str| format!("{}\n{former}", spool.replace("exit 0", code));
    for code in ["exit 0", "exit 1"] {
        world.script("status", &flips(code));
        world.write("root/app/data/file", "torn");
        let answer = world.request(&world.archive()).expect(0);
        assert_eq!(codes(&answer), ["service_up", "archive_kept"]);
        let told = "while its data was read";
        assert!(answer.err.contains(told), "{}", answer.err);
        assert_eq!(archived(&world), "at rest");
        assert!(crate::harness::names(&world.path("spool/app")).is_empty());
    }
    // Without an archive of the day it is made, and one of the stopped service replaces it.
    fs::remove_dir_all(world.path("remote/OdroidBackup/app/archives")).unwrap();
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), ["service_up"]);
    assert_eq!(archived(&world), "torn");
    world.script("status", &former);
    world.write("root/app/data/file", "at rest again");
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), Vec::<String>::new());
    assert_eq!(archived(&world), "at rest again");
    world.request("backupctl --start app").expect(0);
}

/// A mount that is gone at the end of the test.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(words: &[&str], at: &Path) -> Option<Self> {
        let done = Command::new("mount").args(words).arg(at).status();
        done.is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_mount_in_the_data_and_a_bind_mount_on_it_are_named() {
    if !have_rclone() || !is_root() {
        return;
    }
    let world = World::new();
    let disk = world.path("root/app/data/disk");
    fs::create_dir(&disk).unwrap();
    let Some(_inside) = Mounted::new(&["-t", "tmpfs", "tmpfs"], &disk) else {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    };
    fs::write(disk.join("photo"), "in no archive").unwrap();
    fs::remove_file(world.path("up")).unwrap();
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), ["mount_left_out"]);
    assert!(answer.err.contains("data/disk"), "{}", answer.err);
    chown(world.path("root/app"), Some(1234), Some(1234)).unwrap();
    let doctor = world.on_host(&["--doctor"]);
    assert!(
        doctor
            .out
            .contains("root/app/data/disk is mounted in the data"),
        "{}",
        doctor.out
    );
    assert!(
        doctor.out.contains("can be written to by uid 1234"),
        "{}",
        doctor.out
    );
    chown(world.path("root/app"), Some(0), Some(0)).unwrap();
    // Another tree over the data.
    world.write("extra/docs/file", "of another service");
    let docs = world.path("extra/docs").display().to_string();
    let data = world.path("root/app/data");
    let Some(_wrong) = Mounted::new(&["--bind", &docs], &data) else {
        return;
    };
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(codes(&answer), ["foreign_mount"]);
    assert!(answer.err.contains("extra/docs"), "{}", answer.err);
    let doctor = world.on_host(&["--doctor"]);
    assert!(doctor.out.contains("is a bind mount of"), "{}", doctor.out);
}
