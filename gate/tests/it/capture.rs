//! A service starts again as soon as its data is captured, on real file systems in image files. Their content is checked
//! with the programs of the system.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};

use crate::harness::{Answer, World, have, have_rclone, names, wait_until};
use crate::image_file::Disk;

pub(crate) const LEASE: &str = "state/leases/app.json";

/// Counts the stops and starts of `app`, and makes rclone wait for the file `go` before it changes the remote.
pub(crate) fn observed(world: &World, top: &str) {
    let here = world.path("").display().to_string();
    world.script(
        "stop",
        &format!("echo x >> {here}/stops\nrm -f {here}/up\n"),
    );
    world.script(
        "start",
        &format!("echo x >> {here}/starts\n: > {here}/up\n"),
    );
    let program = world.script("slow", &format!(
        "case $1 in rcd|version|about|lsjson|lsf) ;; *) : > {here}/uploading; while ! test -e {here}/go; do sleep 0.05; done;; esac\nexec /usr/bin/rclone \"$@\"\n"
    ));
    world.configure_with(
        &format!("lease = {{ seconds = 600, keeper = \"process\" }}\n{top}"),
        &program,
    );
}

pub(crate) fn count(world: &World, name: &str) -> usize {
    world.read(name).lines().count()
}

pub(crate) fn captured(world: &World) -> Vec<String> {
    let mut left = names(&world.path("root/.captured"));
    left.extend(names(&world.path("spool/.captured")));
    left.extend(names(&world.path("state/captures")));
    left
}

/// The file of the newest archive, by GNU tar.
pub(crate) fn archived(world: &World, file: &str) -> String {
    let folder = world.path("remote/OdroidBackup/app/archives");
    let name = world.archives().pop().unwrap();
    let read = Command::new("tar")
        .args(["-xzOf"])
        .arg(folder.join(name))
        .arg(format!("data/{file}"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&read.stdout).into_owned()
}

pub(crate) fn finish(child: Child) -> Answer {
    Answer::of(&child.wait_with_output().unwrap())
}

/// One night: the sync uploads what was captured while the service is up, the archive needs no second stop, and the
/// `--start` tells the downtime and leaves nothing.
fn a_night_of_snapshots(kind: &str, nested: bool) {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = Disk::mount(&world, kind, 400) else {
        return;
    };
    if kind == "btrfs" {
        if !have("/usr/bin/btrfs") {
            return;
        }
        let data = world.path("root/app/data");
        fs::rename(&data, world.path("root/app/plain")).unwrap();
        let made = Command::new("btrfs")
            .args(["subvolume", "create"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let copied = Command::new("cp")
            .arg("-a")
            .arg(world.path("root/app/plain/."))
            .arg(&data)
            .status();
        assert!(copied.unwrap().success());
        if nested {
            let made = Command::new("btrfs")
                .args(["subvolume", "create"])
                .arg(data.join("folder/nested"))
                .stdout(Stdio::null())
                .status();
            assert!(made.unwrap().success());
            fs::write(data.join("folder/nested/deep"), "in a subvolume").unwrap();
        }
    }
    observed(&world, "");
    world.write("root/app/data/file", "at rest");
    world.request("backupctl --stop app").expect(0);
    let sync = world.spawn(&world.sync());
    wait_until("it compares", || world.exists("uploading"));
    assert!(world.exists("up") && world.exists(LEASE));
    assert_eq!(captured(&world), ["app", "app.json"]);
    let folder = fs::metadata(world.path("root/.captured/app")).unwrap();
    assert_eq!((folder.uid(), folder.mode() & 0o777), (0, 0o700));
    world.write("root/app/data/file", "changed by the running service");
    world.write("go", "");
    let answer = finish(sync).expect(0);
    assert!(
        answer.out.contains("app is up; it was down for "),
        "{}",
        answer.out
    );
    assert!(!answer.err.contains("may be torn"), "{}", answer.err);
    assert_eq!(world.read("remote/OdroidBackup/app/data/file"), "at rest");
    if nested {
        let deep = world.read("remote/OdroidBackup/app/data/folder/nested/deep");
        assert_eq!(deep, "in a subvolume");
    }
    let answer = world.request(&world.archive()).expect(0);
    assert!(
        answer.out.contains("the service stays up"),
        "{}",
        answer.out
    );
    assert!(!answer.err.contains("may be torn"), "{}", answer.err);
    assert_eq!(archived(&world, "file"), "at rest");
    assert_eq!((count(&world, "stops"), count(&world, "starts")), (1, 1));
    let answer = world.request("backupctl --start app").expect(0);
    assert!(
        answer
            .out
            .contains("app is up since its data was captured; it was down for "),
        "{}",
        answer.out
    );
    wait_until("nothing is left", || captured(&world).is_empty());
    assert!(!world.exists("root/.captured") && !world.exists(LEASE));
    if kind == "btrfs" {
        let listed = Command::new("btrfs")
            .args(["subvolume", "list"])
            .arg(world.path("root"))
            .output()
            .unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(!listed.contains(".captured"), "{listed}");
    }
}

#[test]
fn on_btrfs_a_snapshot_is_uploaded_while_the_service_is_up() {
    a_night_of_snapshots("btrfs", false);
}

#[test]
fn on_btrfs_subvolumes_inside_of_the_data_are_copied_as_well() {
    a_night_of_snapshots("btrfs", true);
}

#[test]
fn on_xfs_files_with_shared_blocks_are_uploaded_while_the_service_is_up() {
    a_night_of_snapshots("xfs", false);
}

/// Commands of an administrator that copy the data, and note each call.
pub(crate) fn commands(world: &World, take: &str) {
    let here = world.path("").display().to_string();
    let here = here.trim_end_matches('/');
    let take = world.script("take", &format!(
        "echo take >> {here}/captures\n{take}\nrm -rf {here}/shot/app\nmkdir -p {here}/shot && cp -a {here}/root/app/data {here}/shot/app\n"
    ));
    let release = world.script(
        "release",
        &format!("echo release >> {here}/captures\nrm -rf {here}/shot/app\n"),
    );
    world.configure_app(&format!(
        "capture = {{ take = [\"{take}\"], release = [\"{release}\"], path = \"{here}/shot/app\" }}"
    ));
}

#[test]
fn commands_of_the_administrator_make_and_release_a_capture() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    observed(&world, "");
    commands(&world, "");
    world.write("root/app/data/file", "at rest");
    world.request("backupctl --stop app").expect(0);
    let sync = world.spawn(&world.sync());
    wait_until("it compares", || world.exists("uploading"));
    assert!(world.exists("up") && world.exists("shot/app/file"));
    // A start finds the service up, and does not end the upload.
    world.request("backupctl --start app").expect(0);
    assert!(world.exists("shot/app/file"));
    world.write("root/app/data/file", "changed");
    world.write("go", "");
    finish(sync).expect(0);
    assert_eq!(world.read("remote/OdroidBackup/app/data/file"), "at rest");
    assert_eq!(world.read("captures"), "take\nrelease\n");
    assert!(!world.exists("shot/app") && captured(&world).is_empty());
}

#[test]
fn a_folder_of_others_in_the_place_of_captures_is_not_used() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = Disk::mount(&world, "xfs", 400) else {
        return;
    };
    observed(&world, "");
    world.write("go", "");
    let outside = world.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    for trap in ["link", "owner"] {
        let place = world.path("root/.captured");
        if trap == "link" {
            symlink(&outside, &place).unwrap();
        } else {
            fs::remove_file(&place).unwrap();
            fs::create_dir(&place).unwrap();
            std::os::unix::fs::chown(&place, Some(65534), Some(65534)).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
        }
        world.request("backupctl --stop app").expect(0);
        world.request(&world.sync()).expect(0);
        assert_eq!(world.read("remote/OdroidBackup/app/data/file"), "content");
        assert_eq!(names(&outside), ["kept"]);
        world.request("backupctl --start app").expect(0);
        assert!(world.exists("up"));
    }
    assert!(names(&world.path("root/.captured")).is_empty());
}

#[test]
fn a_service_that_stays_down_is_not_captured() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    observed(&world, "");
    commands(&world, "");
    world.write("go", "");
    world.configure_app("early_start = false");
    world.request("backupctl --stop app").expect(0);
    world.request(&world.sync()).expect(0);
    assert!(!world.exists("up") && !world.exists("captures"));
    world.request("backupctl --start app").expect(0);
    // Found down: the gate owes no start, and makes no capture.
    fs::remove_file(world.path("up")).unwrap();
    world.configure_app("early_start = true");
    world.request("backupctl --stop app").expect(0);
    world.request(&world.sync()).expect(0);
    assert!(!world.exists("up") && !world.exists("captures"));
}
