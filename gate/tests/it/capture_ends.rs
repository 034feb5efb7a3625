//! A capture that a start, a lease, a time limit or a kill ends leaves nothing, and the service comes back.

use std::fs;

use nix::sys::signal::{Signal, kill};

use crate::capture::{LEASE, captured, commands, finish, observed};
use crate::harness::{Answer, World, have_rclone, pid, wait_long, wait_until};
use crate::image_file::Disk;

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
