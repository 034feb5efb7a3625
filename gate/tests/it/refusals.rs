//! What the gate refuses although the request is fine: copying would destroy, or could not be trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{STATS, World, have_rclone};

#[test]
fn every_sync_of_a_day_keeps_what_it_replaced() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    for version in ["one", "two!", "three"] {
        world.write("root/app/data/db", version);
        world.request(&world.sync()).expect(0);
    }
    let date = &world.listing("app/.versions")[0];
    let kept: Vec<String> = world
        .listing(&format!("app/.versions/{date}"))
        .iter()
        .map(|time| {
            let path = format!("remote/OdroidBackup/app/.versions/{date}/{time}/db");
            fs::read_to_string(world.path(&path)).unwrap()
        })
        .collect();
    assert_eq!(kept, ["one", "two!"]);
}

#[test]
fn a_configuration_of_rclone_that_others_may_write_is_refused() {
    let world = World::new();
    let path = world.path("rclone.conf");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    for line in [world.sync(), world.archive()] {
        let answer = world.request(&line).expect(78);
        assert!(answer.err.contains("rclone.conf"), "{}", answer.err);
    }
    assert!(!world.path("remote/OdroidBackup/app").exists());
}

#[test]
fn a_tree_without_a_bottom_is_refused_and_named() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let mut deep = world.path("root/app/data");
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let answer = world.request(&world.archive()).expect(69);
    assert!(
        answer.err.contains("200 directories deep"),
        "{}",
        answer.err
    );
}

#[test]
fn a_program_that_others_may_replace_is_not_run() {
    let world = World::new();
    let mode = |name: &str, mode| {
        fs::set_permissions(world.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    // The start command is looked at before anything is stopped.
    mode("bin/start", 0o775);
    let answer = world.request("backupctl --stop app").expect(78);
    assert!(answer.err.contains("bin/start"), "{}", answer.err);
    assert!(world.exists("up"));
    mode("bin/start", 0o755);
    mode("bin", 0o777);
    world.request("backupctl --start app").expect(78);
    let rclone = world.script("rclone", &format!("echo '{STATS}' >&2\n"));
    world.configure_with("", &rclone);
    let answer = world.request(&world.sync()).expect(78);
    assert!(answer.err.contains("chmod go-w"), "{}", answer.err);
    mode("bin", 0o755);
    world.request(&world.sync()).expect(0);
}

#[test]
fn a_folder_on_a_disk_that_is_not_mounted_is_not_made() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.write(
        "gate.toml",
        &world.read("gate.toml").replace(
            &format!("{here}spool"),
            &format!("{here}disk/backupctl/spool"),
        ),
    );
    let answer = world.request(&world.archive()).expect(69);
    assert!(answer.err.contains("mount its disk"), "{}", answer.err);
    assert!(!world.exists("disk"));
    fs::create_dir_all(world.path("disk/backupctl")).unwrap();
    if have_rclone() {
        world.request(&world.archive()).expect(0);
    }
}

#[test]
fn an_empty_source_wipes_nothing() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    fs::remove_dir_all(world.path("root/app/data")).unwrap();
    fs::create_dir(world.path("root/app/data")).unwrap();
    for line in [world.sync(), world.archive()] {
        let answer = world.request(&line).expect(76);
        assert!(answer.err.contains("empty"), "{}", answer.err);
    }
    assert_eq!(world.listing("app/data"), ["file", "folder"]);
}

#[test]
fn a_missing_rclone_is_named() {
    let world = World::new();
    world.configure_with("", "/nonexistent/rclone");
    let answer = world.request(&world.sync()).expect(69);
    assert!(answer.err.contains("/nonexistent/rclone"), "{}", answer.err);
}
