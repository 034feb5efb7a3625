//! Syncs and extra targets that upload to one remote take turns, and keep their copies until they are done.

use crate::capture::{commands, count, finish, observed};
use crate::harness::{World, have_rclone, wait_long, wait_until};
use crate::image_file::Disk;

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
