//! A service starts again as soon as its data is captured, on real file systems in image files. Their content is checked
//! with the programs of the system.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};

use crate::harness::{
    Answer, World, have, have_rclone, is_root, names, pid, wait_long, wait_until,
};

const LEASE: &str = "state/leases/app.json";

/// A file system in an image file, mounted on the data root of a world.
struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Makes and mounts one; `None`, with a message, where that is impossible.
    fn mount(world: &World, kind: &str, megabytes: u64) -> Option<Self> {
        Self::mount_on(world, kind, megabytes, "root")
    }

    /// The same on another folder of the world, with the content of that folder.
    fn mount_on(world: &World, kind: &str, megabytes: u64, folder: &str) -> Option<Self> {
        if !is_root() {
            eprintln!("SKIPPED: mounting takes root");
            return None;
        }
        let program = format!("/usr/sbin/mkfs.{kind}");
        let program = [program.clone(), program.replace("/usr", "")]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = program else {
            eprintln!("SKIPPED: mkfs.{kind} is not installed");
            return None;
        };
        let image = world.path(&format!("{folder}.img"));
        fs::File::create(&image)
            .and_then(|file| file.set_len(megabytes << 20))
            .unwrap();
        let made = Command::new(program)
            .arg("-q")
            .arg(&image)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let place = world.path(folder);
        let former = world.path(&format!("{folder}.former"));
        fs::rename(&place, &former).unwrap();
        fs::create_dir(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &place])
            .output()
            .unwrap();
        if !mounted.status.success() {
            fs::remove_dir(&place).unwrap();
            fs::rename(&former, &place).unwrap();
            eprintln!("SKIPPED: this system mounts no {kind} image: {mounted:?}");
            return None;
        }
        let copied = Command::new("cp")
            .arg("-a")
            .arg(former.join("."))
            .arg(&place)
            .status();
        assert!(copied.unwrap().success());
        Some(Self { place })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}

/// Counts the stops and starts of `app`, and makes rclone wait for the file `go` before it changes the remote.
fn observed(world: &World, top: &str) {
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

fn count(world: &World, name: &str) -> usize {
    world.read(name).lines().count()
}

fn captured(world: &World) -> Vec<String> {
    let mut left = names(&world.path("root/.captured"));
    left.extend(names(&world.path("spool/.captured")));
    left.extend(names(&world.path("state/captures")));
    left
}

/// The file of the newest archive, by GNU tar.
fn archived(world: &World, file: &str) -> String {
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

fn finish(child: Child) -> Answer {
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

#[test]
fn on_ext4_a_second_archive_copies_first_and_stops_the_service_for_the_changed_files_alone() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = Disk::mount(&world, "ext4", 100) else {
        return;
    };
    observed(&world, "");
    world.write("go", "");
    let data = world.path("root/app/data");
    fs::hard_link(data.join("file"), data.join("other name")).unwrap();
    symlink("file", data.join("link")).unwrap();
    world.request("backupctl --stop app").expect(0);
    world.request(&world.archive()).expect(0);
    assert!(world.exists("up"));
    assert_eq!((count(&world, "stops"), count(&world, "starts")), (1, 1));
    // The stop command writes: only the second pass sees this.
    let here = world.path("").display().to_string();
    world.script("stop", &format!(
        "echo x >> {here}/stops\necho last words > {here}/root/app/data/file\nrm {here}/root/app/data/folder/second\nrm -f {here}/up\n"
    ));
    let answer = world.request(&world.archive()).expect(0);
    assert!(
        answer.out.contains("stopping app once more"),
        "{}",
        answer.out
    );
    assert!(answer.out.contains("while it is up"), "{}", answer.out);
    assert_eq!((count(&world, "stops"), count(&world, "starts")), (2, 2));
    assert_eq!(archived(&world, "file"), "last words\n");
    let out = world.path("out");
    fs::create_dir(&out).unwrap();
    let archive = world.path("remote/OdroidBackup/app/archives");
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(archive.join(world.archives().pop().unwrap()))
        .arg("-C")
        .arg(&out)
        .status();
    assert!(unpacked.unwrap().success());
    let both =
        ["file", "other name"].map(|name| fs::metadata(out.join("data").join(name)).unwrap());
    assert_eq!(both[0].ino(), both[1].ino());
    assert_eq!(
        fs::read_link(out.join("data/link")).unwrap(),
        Path::new("file")
    );
    assert_eq!(archived(&world, "folder/second"), "");
    let lease: serde_json::Value = serde_json::from_str(&world.read(LEASE)).unwrap();
    let earlier = lease["earlier_ms"].as_u64().unwrap();
    assert!(earlier > 0 && lease["back"].is_object(), "{lease}");
    let answer = world.request("backupctl --start app").expect(0);
    let line = answer
        .out
        .lines()
        .find(|line| line.contains("\"downtime\""));
    let line: serde_json::Value =
        serde_json::from_str(line.unwrap().strip_prefix("result: ").unwrap()).unwrap();
    assert!(line["ms"].as_u64().unwrap() > earlier, "{line}");
    wait_until("nothing is left", || captured(&world).is_empty());
}

/// A spool with room for the archive of some 20 MB, and for no copies beside it.
fn small_spool(world: &World) -> Option<Disk> {
    fs::create_dir(world.path("spool")).unwrap();
    let disk = Disk::mount_on(world, "ext4", 70, "spool")?;
    world.set_mode("spool", 0o700);
    world.limit("max_delete = 2\nspool_reserve = 20971520\n");
    let large: Vec<u8> = (0..20_u32 << 18)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(world.path("root/app/data/large"), large).unwrap();
    Some(disk)
}

#[test]
fn copies_that_do_not_fit_are_told_and_the_archive_is_packed_under_the_second_stop() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = back_early(&world) else {
        return;
    };
    let Some(_spool) = small_spool(&world) else {
        return;
    };
    let answer = world.request(&world.archive()).expect(0);
    assert!(
        answer.err.contains("is packed while the service is down"),
        "{}",
        answer.err
    );
    assert_eq!((count(&world, "stops"), count(&world, "starts")), (2, 2));
    assert!(world.exists("up"));
    world.request("backupctl --start app").expect(0);
    wait_until("nothing is left", || captured(&world).is_empty());
}

/// Commands of an administrator that copy the data, and note each call.
fn commands(world: &World, take: &str) {
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
fn a_start_ends_a_capture_and_the_service_is_up() {
    let world = World::new();
    observed(&world, "");
    commands(&world, "sleep 300");
    world.request("backupctl --stop app").expect(0);
    let sync = world.spawn(&world.sync());
    wait_until("it captures", || world.exists("captures"));
    let answer = world.request("backupctl --start app").expect(0);
    assert!(
        answer.out.contains("app is up; it was down for "),
        "{}",
        answer.out
    );
    assert!(world.exists("up") && !world.exists(LEASE));
    finish(sync).expect(69);
    assert!(world.read("captures").contains("release"));
    assert!(captured(&world).is_empty());
}

#[test]
fn a_lease_that_ends_meanwhile_brings_the_service_back() {
    let world = World::new();
    observed(&world, "");
    world.set("[lease]\nseconds = 2");
    commands(&world, "sleep 300");
    world.request("backupctl --stop app").expect(0);
    let sync = world.spawn(&world.sync());
    wait_until("it captures", || world.exists("captures"));
    wait_long("the lease brings it back", || {
        world.exists("up") && !world.exists(LEASE)
    });
    finish(sync).expect(69);
    wait_until("the capture is released", || captured(&world).is_empty());
}

#[test]
fn a_capture_that_takes_too_long_is_told_and_the_data_is_uploaded_as_before() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    observed(&world, "capture = { seconds = 1 }");
    commands(&world, "sleep 300");
    world.write("go", "");
    world.request("backupctl --stop app").expect(0);
    let answer = world.request(&world.sync()).expect(0);
    assert!(answer.err.contains("is not captured"), "{}", answer.err);
    assert_eq!(world.read("remote/OdroidBackup/app/data/file"), "content");
    assert_eq!(world.read("captures"), "take\nrelease\n");
    assert!(captured(&world).is_empty());
    world.request("backupctl --start app").expect(0);
    assert!(world.exists("up"));
}

#[test]
fn a_killed_gate_leaves_a_capture_that_the_next_action_removes() {
    let world = World::new();
    observed(&world, "");
    world.set("[lease]\nseconds = 2");
    commands(&world, "sleep 300");
    world.request("backupctl --stop app").expect(0);
    let mut sync = world.spawn(&world.sync());
    wait_until("it captures", || world.exists("captures"));
    kill(pid(&sync), Signal::SIGKILL).unwrap();
    sync.wait().unwrap();
    assert_eq!(captured(&world), ["app.json"]);
    wait_long("the lease brings it back", || {
        world.exists("up") && !world.exists(LEASE)
    });
    Answer::of(&world.gate().arg("--recover").output().unwrap()).expect(0);
    assert!(world.read("captures").ends_with("release\n"));
    assert!(captured(&world).is_empty());
}

#[test]
fn copies_of_a_killed_upload_are_removed_by_the_next_action_and_not_before_their_sync_ends() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    observed(&world, "");
    let copies = world.path("spool/.mirror/app/contents");
    let mut sync = world.spawn(&world.sync());
    wait_until("it uploads", || world.exists("uploading"));
    world.on_host(&["--recover"]).expect(0);
    assert!(copies.read_dir().unwrap().next().is_some());
    kill(pid(&sync), Signal::SIGKILL).unwrap();
    sync.wait().unwrap();
    assert!(copies.exists());
    world.on_host(&["--recover"]).expect(0);
    assert!(!world.exists("spool/.mirror/app"));
}

/// A tree that takes some time to copy.
fn many_files(world: &World, number: usize) {
    for folder in 0..number / 100 {
        let folder = world.path(&format!("root/app/data/many/{folder}"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..100 {
            fs::write(folder.join(file.to_string()), format!("{file}")).unwrap();
        }
    }
}

#[test]
fn a_gate_killed_at_any_moment_of_a_capture_leaves_nothing_for_long() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = Disk::mount(&world, "xfs", 400) else {
        return;
    };
    observed(&world, "");
    many_files(&world, 2000);
    world.set("[lease]\nseconds = 3");
    for round in 0_u64..8 {
        let _ = fs::remove_file(world.path("uploading"));
        world.request("backupctl --stop app").expect(0);
        let mut sync = world.spawn(&world.sync());
        std::thread::sleep(std::time::Duration::from_millis(40 * round + 7));
        kill(pid(&sync), Signal::SIGKILL).unwrap();
        sync.wait().unwrap();
        wait_long("the service is back", || world.exists("up"));
        Answer::of(&world.gate().args(["--start", "app"]).output().unwrap()).expect(0);
        Answer::of(&world.gate().arg("--recover").output().unwrap()).expect(0);
        assert_eq!(captured(&world), Vec::<String>::new(), "round {round}");
        assert!(!world.exists("root/.captured"), "round {round}");
    }
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

#[test]
fn uploads_to_one_remote_take_turns() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    observed(&world, "");
    commands(&world, "");
    world.request("backupctl --stop app").expect(0);
    let sync = world.spawn(&world.sync());
    wait_until("it uploads", || world.exists("uploading"));
    world.write("extra/docs/page", "x");
    let other = "backupctl --sync-extra docs --remote onedrive:/OdroidBackup --timeout 1";
    let answer = world.request(other).expect(124);
    assert!(
        answer.err.contains("waiting for --sync (process "),
        "{}",
        answer.err
    );
    world.write("go", "");
    finish(sync).expect(0);
}

#[test]
fn a_sync_that_starts_its_service_waits_for_its_turn_after_that() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = Disk::mount(&world, "ext4", 100) else {
        return;
    };
    observed(&world, "");
    world.write("extra/docs/page", "x");
    world.request("backupctl --stop app").expect(0);
    let other =
        world.spawn("backupctl --sync-extra docs --remote onedrive:/OdroidBackup --timeout 300");
    wait_until("the other one uploads", || world.exists("uploading"));
    let answer = world
        .request(&format!("{} --timeout 10", world.sync()))
        .expect(124);
    // The service is up, and its files are not on their way.
    assert!(world.exists("up"), "{}", answer.err);
    assert_eq!((count(&world, "stops"), count(&world, "starts")), (1, 1));
    assert!(
        answer.err.contains("waiting for --sync (process "),
        "{}",
        answer.err
    );
    let sends = format!("uploading {}", world.data());
    assert!(!answer.err.contains(&sends), "{}", answer.err);
    world.write("go", "");
    finish(other).expect(0);
    world.request(&world.sync()).expect(0);
    // The retry stops it once more for the live data.
    assert!(world.exists("up"));
}

#[test]
fn two_syncs_of_one_extra_target_do_not_take_the_copies_from_each_other() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    observed(&world, "");
    world.write("extra/docs/page", "x");
    let line = "backupctl --sync-extra docs --remote onedrive:/OdroidBackup";
    let first = world.spawn(&format!("{line} --timeout 300"));
    wait_long("the first one uploads", || world.exists("uploading"));
    world.request(&format!("{line} --timeout 3")).expect(124);
    world.write("go", "");
    finish(first).expect(0);
    assert_eq!(world.read("remote/OdroidBackup/extra/docs/page"), "x");
}

/// A lease under which the archive of an ext4 disk brought the service back early.
fn back_early(world: &World) -> Option<Disk> {
    let disk = Disk::mount(world, "ext4", 100)?;
    observed(world, "");
    world.write("go", "");
    world.request("backupctl --stop app").expect(0);
    world.request(&world.archive()).expect(0);
    assert!(world.exists("up"));
    // Its place is wanted for a disk in some tests.
    let _ = fs::remove_dir_all(world.path("spool"));
    Some(disk)
}

#[test]
fn a_gate_killed_in_its_second_stop_brings_the_service_back_by_the_lease() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = back_early(&world) else {
        return;
    };
    world.set("[lease]\nseconds = 4");
    let here = world.path("").display().to_string();
    let stop = world.read("bin/stop");
    world.script(
        "stop",
        &format!("rm -f {here}/up\n: > {here}/hangs\nsleep 300\n"),
    );
    let mut archive = world.spawn(&world.archive());
    wait_until("it stops the service", || world.exists("hangs"));
    kill(pid(&archive), Signal::SIGKILL).unwrap();
    archive.wait().unwrap();
    world.write("bin/stop", &stop);
    wait_long("the lease brings it back", || {
        world.exists("up") && !world.exists(LEASE)
    });
    world.on_host(&["--recover"]).expect(0);
    assert!(captured(&world).is_empty());
    wait_until("no keeper is left", || world.keepers().is_empty());
}

#[test]
fn an_archive_that_fails_after_its_second_stop_brings_the_service_back_itself() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = back_early(&world) else {
        return;
    };
    // The last words of the service are a tree that no archive takes.
    let here = world.path("").display().to_string();
    let deep = format!("{here}/root/app/data/{}", "x/".repeat(210));
    world.script(
        "stop",
        &format!("echo x >> {here}/stops\nmkdir -p {deep}\nrm -f {here}/up\n"),
    );
    let answer = world.request(&world.archive()).expect(69);
    assert!(answer.err.contains("directories deep"), "{}", answer.err);
    assert!(
        answer.out.contains("app is up; it was down for "),
        "{}",
        answer.out
    );
    assert!(world.exists("up"));
    assert_eq!((count(&world, "stops"), count(&world, "starts")), (2, 2));
    wait_until("no keeper is left", || world.keepers().is_empty());
    world.request("backupctl --start app").expect(0);
    assert!(captured(&world).is_empty());
}

#[test]
fn after_a_start_an_archive_stops_nothing_again() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = back_early(&world) else {
        return;
    };
    world.request("backupctl --start app").expect(0);
    let answer = world.request(&world.archive()).expect(0);
    assert!(answer.err.contains("may be torn"), "{}", answer.err);
    assert_eq!((count(&world, "stops"), count(&world, "starts")), (1, 1));
}

#[test]
fn a_second_stop_counts_as_a_stop_of_the_day() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_disk) = back_early(&world) else {
        return;
    };
    world.limit("max_delete = 2\nstops_per_day = 1\nrefuse_more_stops = true\n");
    let answer = world.request(&world.archive()).expect(77);
    assert!(
        answer.err.contains("limits.stops_per_day"),
        "{}",
        answer.err
    );
    assert!(world.exists("up"));
    assert_eq!(count(&world, "stops"), 1);
    assert!(names(&world.path("spool/.captured")).is_empty());
}
