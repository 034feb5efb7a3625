//! After an unusual night no copy is removed from a remote until an administrator approves.

use std::fs;

use crate::harness::{Answer, World, have_rclone};
use crate::retention::{codes, folder, plant};

const PAUSED: &str = "pruning_paused";
const OLD: &str = "2020-01-06";

/// Writes a file with its folders.
fn put(world: &World, path: &str) {
    let path = world.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "old").unwrap();
}

/// A world with 60 mirrored files, eleven archives that the next one expires, and versions that the next sync expires.
fn with_history(nights: usize) -> World {
    let world = World::new();
    world.configure("[versions]\nkeep_days = 30\nfloor_count = 2\n");
    fs::remove_dir_all(world.path("root/app/data/folder")).unwrap();
    fs::remove_file(world.path("root/app/data/file")).unwrap();
    for number in 0..60 {
        world.write(&format!("root/app/data/{number}"), "as it was");
    }
    world.request(&world.sync()).expect(0);
    for night in 0..nights {
        world.write("root/app/data/0", &format!("night {night}"));
        world.request(&world.sync()).expect(0);
    }
    for day in ["06", "07", "08", "09", "10"] {
        plant(&world, &format!("2020-01-{day}"), Some(3));
    }
    for day in [OLD, "2020-02-01", "2020-03-01"] {
        put(
            &world,
            &format!("remote/OdroidBackup/app/.versions/{day}/120000-000/file"),
        );
    }
    let aside = format!("remote/OdroidBackup/app/.pruned/{OLD}/app-2019-01-01.tar.gz");
    put(&world, &aside);
    world
}

/// Everything that the next sync and archive of ordinary days remove.
fn kept(world: &World) -> (usize, bool, bool) {
    let archives = fs::read_dir(folder(world)).unwrap().count();
    let old = |shelf| world.exists(&format!("remote/OdroidBackup/app/{shelf}/{OLD}"));
    (archives, old(".versions"), old(".pruned"))
}

fn alarms(answer: &Answer) -> usize {
    codes(answer).iter().filter(|code| *code == PAUSED).count()
}

/// Archives, and checks that nothing was removed and one warning says why; after the approval it is removed.
#[track_caller]
fn is_kept_until_approved(world: &World, reason: &str) {
    let (archives, ..) = kept(world);
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(alarms(&answer), 1, "{}", answer.err);
    for words in [reason, "`sudo backupctl --approve app`"] {
        assert!(answer.err.contains(words), "{words}: {}", answer.err);
    }
    assert_eq!(kept(world), (archives + 2, true, true), "{}", answer.out);
    // The key that SSH takes cannot approve.
    world.request("backupctl --approve app").expect(77);
    world.on_host(&["--approve", "app"]).expect(0);
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(alarms(&answer), 0, "{}", answer.err);
    let (after, _, aside) = kept(world);
    assert!(after < archives, "{}", answer.out);
    assert!(!aside, "{}", answer.out);
}

#[test]
fn half_of_the_files_deleted() {
    if !have_rclone() {
        return;
    }
    let world = with_history(0);
    for number in 0..30 {
        fs::remove_file(world.path(&format!("root/app/data/{number}"))).unwrap();
    }
    let before = kept(&world);
    world.request(&world.sync()).expect(76);
    assert_eq!(kept(&world), before);
    is_kept_until_approved(
        &world,
        "a sync to onedrive:/OdroidBackup/app/data was refused",
    );
}

#[test]
fn everything_encrypted() {
    if !have_rclone() {
        return;
    }
    let world = with_history(0);
    for number in 0..60 {
        world.write(&format!("root/app/data/{number}"), "a ransom note");
    }
    let before = kept(&world);
    world.request(&world.sync()).expect(76);
    assert_eq!(kept(&world), before);
    is_kept_until_approved(&world, "was refused");
}

#[test]
fn a_part_encrypted_each_night_below_the_limits() {
    if !have_rclone() {
        return;
    }
    let world = with_history(8);
    for number in 10..35 {
        world.write(&format!("root/app/data/{number}"), "a ransom note");
    }
    // It is mirrored, and fails, so that the run raises an alarm.
    let answer = world.request(&world.sync()).expect(65);
    assert_eq!(alarms(&answer), 1, "{}", answer.err);
    assert!(answer.err.contains("is complete, but"), "{}", answer.err);
    assert_eq!(
        world.read("remote/OdroidBackup/app/data/10"),
        "a ransom note"
    );
    // The next part: the first one is no excuse for it.
    for number in 35..60 {
        world.write(&format!("root/app/data/{number}"), "a ransom note");
    }
    let answer = world.request(&world.sync()).expect(65);
    assert_eq!(alarms(&answer), 1, "{}", answer.err);
    is_kept_until_approved(&world, "replaces 25 of 60 files");
    world.write("root/app/data/0", "a quiet night");
    world.request(&world.sync()).expect(0);
    assert!(!kept(&world).1);
}

#[test]
fn an_archive_of_less_than_half() {
    if !have_rclone() {
        return;
    }
    let world = with_history(0);
    // Bytes that no compression makes smaller.
    let mut seed = 1_u64;
    let noise: Vec<u8> = (0..3 << 20)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .collect();
    fs::write(world.path("root/app/data/large"), noise).unwrap();
    world.request(&world.archive()).expect(0);
    for day in ["06", "07", "08", "09", "10"] {
        plant(&world, &format!("2020-02-{day}"), Some(3));
    }
    put(
        &world,
        &format!("remote/OdroidBackup/app/.pruned/{OLD}/app-2019-01-01.tar.gz"),
    );
    fs::remove_file(world.path("root/app/data/large")).unwrap();
    let before = kept(&world);
    let answer = world.request(&world.archive()).expect(65);
    assert_eq!(alarms(&answer), 1, "{}", answer.err);
    assert!(answer.err.contains("before it has 3"), "{}", answer.err);
    assert_eq!(kept(&world), before);
    // An extra target of the same name cannot release it.
    world.on_host(&["--approve-extra", "app"]).expect(77);
    world.on_host(&["--approve", "app"]).expect(0);
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(alarms(&answer), 0, "{}", answer.err);
    assert!(kept(&world).0 < before.0);
}
