//! On a file system without snapshots an archive stops its service a second time, for the changed files alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};

use crate::capture::{LEASE, archived, captured, count, observed};
use crate::harness::{World, have_rclone, names, pid, wait_long, wait_until};
use crate::image_file::Disk;

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
