//! Syncs cannot destroy a mirror: a change that is too large is refused, can be approved once, and old files are kept
//! for a while.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::{World, can_mount, have_rclone};

/// A mirrored world with this number of files.
fn mirrored(files: usize, limits: &str) -> World {
    let world = World::new();
    world.limit(limits);
    fs::remove_dir_all(world.path("root/app/data/folder")).unwrap();
    fs::remove_file(world.path("root/app/data/file")).unwrap();
    for number in 0..files {
        world.write(&format!("root/app/data/{number}"), "as it was");
    }
    world.request(&world.sync()).expect(0);
    assert_eq!(world.listing("app/data").len(), files);
    world
}

fn delete(world: &World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        fs::remove_file(world.path(&format!("root/app/data/{number}"))).unwrap();
    }
}

#[test]
fn too_many_deletions_are_refused_with_numbers_and_the_way_out() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(12, "max_delete = 2\n");
    delete(&world, 0..3);
    // A repeated request is refused as well.
    for _ in 0..2 {
        let answer = world.request(&world.sync()).expect(76);
        for words in [
            "deleted within 24 hours to 3 (limits.max_delete is 2)",
            "12 files in the mirror, 3 to delete, 0 to replace, 0 to add",
            "`sudo backupctl --approve app`",
        ] {
            assert!(answer.err.contains(words), "{words}: {}", answer.err);
        }
        assert_eq!(world.listing("app/data").len(), 12);
    }
}

#[test]
fn an_approval_is_used_once() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(40, "max_delete = 2\n");
    let nothing = world.on_host(&["--approve", "app"]).expect(69);
    assert!(
        nothing.err.contains("nothing to approve"),
        "{}",
        nothing.err
    );
    delete(&world, 0..8);
    world.request(&world.sync()).expect(76);
    // Approvals are not possible over SSH.
    world.request("backupctl --approve app").expect(77);
    world.request(&world.sync()).expect(76);
    let approved = world.on_host(&["--approve", "app"]).expect(0);
    assert!(approved.out.contains("8 to delete"), "{}", approved.out);
    world.on_host(&["--approve", "app"]).expect(69);
    // A sync that does not need the approval keeps it.
    for number in 0..8 {
        world.write(&format!("root/app/data/{number}"), "as it was");
    }
    world.request(&world.sync()).expect(0);
    delete(&world, 0..8);
    world.request(&world.sync()).expect(0);
    assert_eq!(world.listing("app/data").len(), 32);
    delete(&world, 8..16);
    world.request(&world.sync()).expect(76);
}

#[test]
fn an_approval_is_for_what_was_refused() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(60, "max_delete = 2\n");
    delete(&world, 0..5);
    world.request(&world.sync()).expect(76);
    world.on_host(&["--approve", "app"]).expect(0);
    // The approved five files, and a few more for changes in the meantime.
    delete(&world, 5..16);
    world.request(&world.sync()).expect(76);
    assert_eq!(world.listing("app/data").len(), 60);
}

#[test]
fn an_approved_sync_that_fails_can_be_tried_again() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(20, "max_delete = 2\n");
    delete(&world, 0..5);
    world.request(&world.sync()).expect(76);
    world.on_host(&["--approve", "app"]).expect(0);
    let failing = world.script(
        "failing",
        "case \"$*\" in *--dry-run*) exec /usr/bin/rclone \"$@\" ;; esac\necho 'ERROR : no such luck' >&2\nexit 5\n",
    );
    world.configure_with("", &failing);
    let answer = world.request(&world.sync()).expect(69);
    assert!(answer.err.contains("no such luck"), "{}", answer.err);
    world.configure("");
    world.request(&world.sync()).expect(0);
    assert_eq!(world.listing("app/data").len(), 15);
}

#[test]
fn deletions_of_a_day_are_added_up() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(30, "max_delete = 5\n");
    delete(&world, 0..3);
    world.request(&world.sync()).expect(0);
    delete(&world, 3..5);
    world.request(&world.sync()).expect(0);
    delete(&world, 5..6);
    let answer = world.request(&world.sync()).expect(76);
    assert!(answer.err.contains("to 6 (limits"), "{}", answer.err);
    // Unreadable books do not count as empty.
    world.write("state/losses/app.json", "{");
    world.request(&world.sync()).expect(70);
    assert_eq!(world.listing("app/data").len(), 25);
    // Older deletions do not count.
    world.write(
        "state/losses/app.json",
        r#"{"onedrive:/OdroidBackup/app/data":[{"at":"2020-01-01T00:00:00Z","deleted":5,"mirrored":30}]}"#,
    );
    world.request(&world.sync()).expect(0);
}

#[test]
fn a_large_share_is_refused_whatever_the_number() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(60, "");
    delete(&world, 0..21);
    let answer = world.request(&world.sync()).expect(76);
    assert!(
        answer
            .err
            .contains("to 21 of 60 (limits.max_delete_percent is 25)"),
        "{}",
        answer.err
    );
    for number in 0..21 {
        world.write(&format!("root/app/data/{number}"), "as it was");
    }
    // Encrypted: each file is still there, plus a new one.
    for number in 0..40 {
        world.write(&format!("root/app/data/{number}"), "something else");
    }
    let answer = world.request(&world.sync()).expect(76);
    assert!(
        answer
            .err
            .contains("replace 40 of 60 files (limits.max_change_percent is 50)"),
        "{}",
        answer.err
    );
    assert_eq!(world.read("remote/OdroidBackup/app/data/0"), "as it was");
}

#[test]
fn a_source_in_which_hardly_anything_is_left_is_refused() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(12, "");
    delete(&world, 0..12);
    fs::create_dir(world.path("root/app/data/thumbs")).unwrap();
    let answer = world.request(&world.sync()).expect(76);
    assert!(answer.err.contains("leave 0 of 12 files"), "{}", answer.err);
    assert_eq!(world.listing("app/data").len(), 12);
    // With a few files the share does not matter.
    for number in 0..6 {
        world.write(&format!("root/app/data/{number}"), "as it was");
    }
    world.request(&world.sync()).expect(0);
    // The empty folder stands in the manifest alone.
    assert_eq!(world.listing("app/data").len(), 6);
}

#[test]
fn extra_targets_and_what_is_copied_while_it_runs_have_the_same_limits() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.set("[services.lightflow]\nlimits = { max_delete = 1 }");
    let hot = format!(
        "backupctl --sync lightflow --path {} --remote onedrive:/OdroidBackup",
        world.path("root/lightflow/data").display()
    );
    let extra = "backupctl --sync-extra docs --remote onedrive:/OdroidBackup".to_owned();
    for (folder, line, approve, limit) in [
        ("root/lightflow/data", hot, ["--approve", "lightflow"], 1),
        ("extra/docs", extra, ["--approve-extra", "docs"], 2),
    ] {
        for number in 0..10 {
            world.write(&format!("{folder}/{number}"), "x");
        }
        world.request(&line).expect(0);
        for number in 0..=limit {
            fs::remove_file(world.path(&format!("{folder}/{number}"))).unwrap();
        }
        let answer = world.request(&line).expect(76);
        let words = format!("limits.max_delete is {limit}");
        assert!(answer.err.contains(&words), "{}", answer.err);
        assert!(answer.err.contains(&approve.join(" ")), "{}", answer.err);
        world.on_host(&approve).expect(0);
        world.request(&line).expect(0);
    }
    world.on_host(&["--approve-extra", "app"]).expect(77);
    world.on_host(&["--approve", "docs"]).expect(77);
    world.on_host(&["--approve"]).expect(64);
}

#[test]
fn a_night_after_the_first_lists_nothing_of_the_mirror() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    let noting = world.script(
        "noting",
        &format!("echo \"$*\" >> {here}/runs\nexec /usr/bin/rclone \"$@\"\n"),
    );
    world.configure_with("", &noting);
    world.request(&world.sync()).expect(0);
    fs::remove_file(world.path("runs")).unwrap();
    world.write("root/app/data/folder/third", "new");
    world.write("root/app/data/file", "other content");
    world.request(&world.sync()).expect(0);
    let runs = world.read("runs");
    let lists = |line: &&str| line.starts_with("lsjson") && line.contains("app/data");
    assert_eq!(runs.lines().find(lists), None);
    let moved: Vec<&str> = runs
        .lines()
        .filter(|line| line.starts_with("moveto"))
        .collect();
    assert_eq!(moved.len(), 3, "{moved:?}");
    assert_eq!(
        world.read("remote/OdroidBackup/app/data/folder/third"),
        "new"
    );
    // Without changes nothing is uploaded and nothing is moved.
    fs::remove_file(world.path("runs")).unwrap();
    world.request(&world.sync()).expect(0);
    let runs = world.read("runs");
    let reads = |line: &str| {
        ["lsjson", "cat", "version"]
            .iter()
            .any(|verb| line.starts_with(verb))
    };
    assert!(runs.lines().all(reads), "{runs}");
}

#[test]
fn files_and_folders_may_change_places() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    fs::remove_file(world.path("root/app/data/file")).unwrap();
    fs::create_dir(world.path("root/app/data/file")).unwrap();
    world.write("root/app/data/file/inside", "a");
    fs::remove_dir_all(world.path("root/app/data/folder")).unwrap();
    world.write("root/app/data/folder", "b");
    world.request(&world.sync()).expect(0);
    assert_eq!(world.read("remote/OdroidBackup/app/data/file/inside"), "a");
    assert_eq!(world.read("remote/OdroidBackup/app/data/folder"), "b");
}

#[test]
fn names_that_fit_on_no_list_are_mirrored_all_the_same() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    world.write("root/app/data/two\nlines", "odd");
    world.write("root/app/data/ # [a] {b}*?", "odder");
    world.request(&world.sync()).expect(0);
    assert_eq!(world.read("remote/OdroidBackup/app/data/two\nlines"), "odd");
    assert_eq!(
        world.read("remote/OdroidBackup/app/data/ # [a] {b}*?"),
        "odder"
    );
}

#[test]
fn a_link_in_the_source_opens_no_way_out_of_a_mirror_on_this_host() {
    if !have_rclone() || !can_mount() {
        return;
    }
    let world = World::new();
    fs::create_dir(world.path("outside")).unwrap();
    let way = world.path("root/app/data/way");
    symlink(world.path("outside"), &way).unwrap();
    world.request(&world.sync()).expect(0);
    fs::remove_file(&way).unwrap();
    fs::create_dir(&way).unwrap();
    world.write("root/app/data/way/in", "planted");
    world.request(&world.sync()).expect(0);
    assert_eq!(world.read("remote/OdroidBackup/app/data/way/in"), "planted");
    assert!(!world.exists("outside/in"));
}

fn keep(world: &World, date: &str) {
    let folder = world.path(&format!(
        "remote/OdroidBackup/app/.versions/{date}/120000-000"
    ));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("file"), date).unwrap();
}

#[test]
fn old_versions_go_after_a_sync_and_the_newest_stay() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("[versions]\nkeep_days = 30\nfloor_count = 2\n");
    fs::remove_file(world.path("up")).unwrap();
    // Without a folder of versions there is no work and no message.
    assert_eq!(world.request(&world.sync()).expect(0).err, "");
    for date in [
        "2020-01-01",
        "2020-02-01",
        "2020-03-01",
        "2020-1-1",
        "notes",
    ] {
        keep(&world, date);
    }
    // A night without changes leaves them: it asks the remote for next to nothing.
    let quiet = world.request(&world.sync()).expect(0);
    assert!(!quiet.out.contains("removing"), "{}", quiet.out);
    world.write("root/app/data/another", "one");
    let answer = world.request(&world.sync()).expect(0);
    assert!(
        answer.out.contains("removing the versions of 2020-01-01"),
        "{}",
        answer.out
    );
    assert_eq!(
        world.listing("app/.versions"),
        ["2020-02-01", "2020-03-01", "2020-1-1", "notes"]
    );
    // The versions of today push out one day, for any number of syncs.
    for content in ["one", "two!", "three"] {
        world.write("root/app/data/file", content);
        world.request(&world.sync()).expect(0);
    }
    let left = world.listing("app/.versions");
    assert_eq!(left.len(), 4);
    assert!(left.contains(&"2020-03-01".to_owned()));
    let today = Path::new("remote/OdroidBackup/app/.versions").join(
        left.iter()
            .find(|name| !name.starts_with("2020") && *name != "notes")
            .unwrap(),
    );
    assert_eq!(
        crate::harness::names(&world.path(&today.display().to_string())).len(),
        3
    );
}

#[test]
fn versions_that_cannot_be_removed_fail_no_sync() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    for date in ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"] {
        keep(&world, date);
    }
    let program = world.script(
        "failing",
        "test $1 = purge && exit 1\nexec /usr/bin/rclone \"$@\"\n",
    );
    world.configure_with("", &program);
    let answer = world.request(&world.sync()).expect(0);
    assert!(
        answer.err.contains("old versions were not removed"),
        "{}",
        answer.err
    );
    assert_eq!(world.listing("app/.versions").len(), 4);
}

#[test]
fn very_many_contents_of_an_interrupted_night_keep_neither_a_restore_nor_a_sync_from_its_work() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(3, "");
    // More than fit into an answer that the gate keeps in memory.
    let incoming = world.path("remote/OdroidBackup/app/.incoming");
    fs::create_dir_all(&incoming).unwrap();
    for number in 0..40_000 {
        fs::write(incoming.join(format!("{number:032x}")), "").unwrap();
    }
    fs::remove_file(world.path("remote/OdroidBackup/app/mirror.complete")).unwrap();
    world
        .on_host(&["--restore", "app", "--from", "mirror"])
        .expect(0);
    world.write("root/app/data/0", "another content");
    world.request(&world.sync()).expect(0);
    assert!(!incoming.exists() || fs::read_dir(&incoming).unwrap().next().is_none());
}
