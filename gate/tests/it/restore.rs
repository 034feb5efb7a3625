//! `--restore` to a directory brings back exactly the archived data.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::archives::{Seen, adorn, look, plant};
use crate::harness::{RCLONE, World, have_rclone, is_root, names, wait_until};

/// The one tree that a restore has created beside the data.
#[track_caller]
pub(crate) fn restored(world: &World) -> PathBuf {
    let names: Vec<String> = names(&world.path("root/app"))
        .into_iter()
        .filter(|name| name.starts_with("restored-"))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    world.path("root/app").join(&names[0])
}

#[track_caller]
fn is_like(made: &BTreeMap<PathBuf, Seen>, expected: &BTreeMap<PathBuf, Seen>) {
    assert_eq!(
        made.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (path, seen) in expected {
        assert_eq!(&made[path], seen, "{}", path.display());
    }
}

/// Every name in `root/app`.
fn beside(world: &World) -> Vec<String> {
    names(&world.path("root/app"))
}

#[test]
fn an_archive_comes_back_as_it_was() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let data = world.path("root/app/data");
    fs::remove_file(data.join("file")).unwrap();
    fs::remove_dir_all(data.join("folder")).unwrap();
    plant(&data);
    if !adorn(&data) {
        eprintln!("SKIPPED: no attributes or ACLs here; the rest is tried without");
    }
    fs::write(data.join("of root"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(data.join("of root"), fs::Permissions::from_mode(0o6755)).unwrap();
    world.request(&world.archive()).expect(0);
    let answer = world.on_host(&["--restore", "app"]).expect(0);
    let mut expected = look(&data);
    for seen in expected.values_mut() {
        // An attacker with access to the remote could have added these.
        seen.attributes
            .retain(|(name, _)| name != "security.capability");
        if !is_root() || seen.mode & 0o170_000 == 0o100_000 {
            seen.mode &= !0o6000;
        }
    }
    let tree = restored(&world);
    is_like(&look(&tree), &expected);
    assert!(
        answer
            .out
            .contains(&format!("all as its manifest says) to {}", tree.display())),
        "{}",
        answer.out
    );
    if is_root() {
        assert!(
            answer.err.contains("--keep-privileges")
                && answer.err.contains("data/of root")
                && answer.err.contains("data/file"),
            "{}",
            answer.err
        );
    }
    assert!(
        world.exists("up")
            && world
                .read("audit.jsonl")
                .contains("backupctl --restore app")
    );
}

#[test]
fn a_directory_that_is_named_is_made_or_filled_when_it_is_empty_and_else_left_alone() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    let to = |name: &str, code| {
        let path = world.path(name).display().to_string();
        world
            .on_host(&["--restore", "app", "--to", &path])
            .expect(code)
    };
    to("fresh", 0);
    assert_eq!(world.read("fresh/folder/second"), "more content");
    fs::create_dir(world.path("empty")).unwrap();
    to("empty", 0);
    assert_eq!(world.read("empty/file"), "content");
    world.write("empty/mine", "mine");
    let answer = to("empty", 76);
    assert!(answer.err.contains("is not empty"), "{}", answer.err);
    assert_eq!(names(&world.path("empty")), ["file", "folder", "mine"]);
    world.write("plain", "a file");
    to("plain", 76);
    symlink(world.path("extra"), world.path("link")).unwrap();
    to("link", 76);
    to("link/below", 69);
    to("no/such/folder", 69);
    assert_eq!(world.read("plain"), "a file");
    assert_eq!(names(&world.path("extra")), ["docs"]);
    let left = names(&world.path(""));
    assert!(
        !left.iter().any(|name| name.contains("restoring")),
        "{left:?}"
    );
}

#[test]
fn words_of_a_restore_are_parsed_and_it_is_for_the_host_alone() {
    let world = World::new();
    for line in [
        "--restore app",
        "--restore app --from mirror --in-place",
        "--restore app --to /srv/x --from 2026-11-22",
    ] {
        world.request(&format!("backupctl {line}")).expect(77);
    }
    for words in [
        &["--restore"][..],
        &["--restore", "app", "--to", "/srv/x", "--in-place"],
        &["--restore", "app", "--from", "yesterday"],
        &["--restore", "app", "--to", "relative"],
        &["--restore", "app", "--to", "/srv/../etc"],
        &["--verify", "app", "--in-place"],
    ] {
        world.on_host(words).expect(64);
    }
    world.on_host(&["--restore", "wiki"]).expect(77);
    world
        .on_host(&["--restore", "app", "--remote", "other:/Folder"])
        .expect(77);
}

#[test]
fn a_damaged_archive_changes_nothing_and_what_can_be_read_of_it_is_kept() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let words: Vec<u8> = (0..400_000_u32)
        .flat_map(|n| n.wrapping_mul(n).to_le_bytes())
        .collect();
    fs::write(world.path("root/app/data/numbers"), &words).unwrap();
    world.write("root/app/data/zzz", "last");
    world.request(&world.archive()).expect(0);
    let path = world
        .path("remote/OdroidBackup/app/archives")
        .join(&world.archives()[0]);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() * 2 / 3;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    for place in [
        &["--restore", "app"][..],
        &["--restore", "app", "--in-place"],
    ] {
        let answer = world.on_host(place).expect(65);
        assert!(
            answer.err.contains("what came of it is in ") && answer.err.contains(".incomplete"),
            "{}",
            answer.err
        );
        assert!(!answer.out.contains("stopping"), "{}", answer.out);
        let tree = restored(&world);
        assert!(tree.display().to_string().ends_with(".incomplete"));
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "content");
        assert!(!tree.join("zzz").exists());
        fs::remove_dir_all(tree).unwrap();
    }
    assert_eq!(world.read("root/app/data/zzz"), "last");
    assert_eq!(beside(&world), ["data"]);
    assert!(world.exists("up"));
}

#[test]
fn an_archive_that_is_not_what_its_manifest_says_is_told() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    let folder = world.path("remote/OdroidBackup/app/archives");
    let name = world.archives()[0].replace(".tar.gz", ".manifest.gz");
    let first = fs::read(folder.join(&name)).unwrap();
    world.write("root/app/data/file", "CONTENT");
    world.request(&world.archive()).expect(0);
    let second = fs::read(folder.join(&name)).unwrap();
    fs::write(folder.join(&name), first).unwrap();
    let answer = world
        .on_host(&["--restore", "app", "--in-place"])
        .expect(65);
    assert!(
        answer.err.contains("different: data/file"),
        "{}",
        answer.err
    );
    assert!(!answer.out.contains("stopping"), "{}", answer.out);
    fs::write(folder.join(&name), second).unwrap();
    // Without a manifest the restore cannot compare; it reports that and continues.
    fs::remove_file(folder.join(&name)).unwrap();
    fs::remove_dir_all(restored(&world)).unwrap();
    let answer = world.on_host(&["--restore", "app"]).expect(0);
    assert!(
        answer.err.contains("no manifest lies beside"),
        "{}",
        answer.err
    );
    assert_eq!(
        fs::read_to_string(restored(&world).join("file")).unwrap(),
        "CONTENT"
    );
}

#[test]
fn without_room_nothing_is_fetched() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    world.request(&world.sync()).expect(0);
    // The disk of the spool has room for the manifest; the disk of the data is full.
    let file = fs::File::create(world.path("root/app/data/large")).unwrap();
    file.set_len(1 << 20).unwrap();
    world.limit("spool_reserve = 1000000000000000\nmax_delete = 2\n");
    for from in [
        &["--restore", "app"][..],
        &["--restore", "app", "--from", "mirror"],
    ] {
        let answer = world.on_host(from).expect(73);
        assert!(answer.err.contains("no space"), "{}", answer.err);
        assert_eq!(beside(&world), ["data"]);
    }
}

#[test]
fn what_a_killed_restore_was_making_is_removed_by_the_next_one_and_by_recover() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    let here = world.path("").display().to_string();
    let program = world.script(
        "hangs",
        &format!("case \"$*\" in\n*cat*tar.gz*) {RCLONE} \"$@\" | head -c 400; : > {here}/hanging; exec sleep 300 ;;\nesac\nexec {RCLONE} \"$@\"\n"),
    );
    let interrupt = |signal| {
        world.configure_with("", &program);
        let _ = fs::remove_file(world.path("hanging"));
        let mut gate = world.gate().args(["--restore", "app"]).spawn().unwrap();
        wait_until("half of it has come", || world.exists("hanging"));
        assert!(
            beside(&world)
                .iter()
                .any(|name| name.starts_with(".restoring-"))
        );
        kill(Pid::from_raw(gate.id().try_into().unwrap()), signal).unwrap();
        gate.wait().unwrap();
        world.configure("");
    };
    interrupt(Signal::SIGKILL);
    let answer = world.on_host(&["--recover"]).expect(0);
    assert!(
        answer.out.contains("an interrupted restore of app"),
        "{}",
        answer.out
    );
    assert_eq!(beside(&world), ["data"]);
    interrupt(Signal::SIGKILL);
    world.on_host(&["--restore", "app"]).expect(0);
    fs::remove_dir_all(restored(&world)).unwrap();
    // A restore that is stopped by SIGTERM cleans up itself.
    interrupt(Signal::SIGTERM);
    assert_eq!(beside(&world), ["data"]);
}

#[test]
fn a_mirror_or_an_archive_that_is_not_there_is_said() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    for (words, said) in [
        (&["--restore", "app"][..], "there is no archive of app"),
        (
            &["--restore", "app", "--from", "mirror"],
            "there is no mirror of app",
        ),
    ] {
        let answer = world.on_host(words).expect(69);
        assert!(answer.err.contains(said), "{}", answer.err);
        assert_eq!(beside(&world), ["data"]);
    }
}
