//! `--restore --only` brings back chosen files and folders, with any bytes in their names, and reads no other content of a
//! mirror. GNU tar compares the trees.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::archives::{adorn, plant};
use crate::harness::{Answer, World, have_rclone, names};

/// The chosen paths: a folder with a hard link, a name outside of UTF-8, a name of odd bytes, and a file with holes.
const CHOSEN: [&[u8]; 4] = [
    b"folder/",
    b"latin-1 \xe9",
    b"line\nfeed\t\x1b[31m \\ * ? = %",
    b"holes",
];

/// A tar of these entries as GNU tar makes it, with owners, modes, times, ACLs and attributes.
fn packed(root: &Path, entries: &[&[u8]]) -> Vec<u8> {
    let output = Command::new("tar")
        .args(["--format=posix", "--sort=name", "--numeric-owner", "--acls"])
        // ACLs are attributes as well, and the order of attributes differs between equal files.
        .args(["--xattrs", "--xattrs-include=user.*"])
        // The usual names of these headers hold the process id.
        .arg("--pax-option=delete=atime,delete=ctime,exthdr.name=%d/%f")
        .args(["-cf", "-", "--"])
        .args(entries.iter().map(|entry| OsStr::from_bytes(entry)))
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// All names below a folder, as find(1) prints them.
fn found(root: &Path) -> Vec<Vec<u8>> {
    let output = Command::new("find")
        .args([".", "-mindepth", "1", "-printf", "%P\\0"])
        .current_dir(root)
        .output()
        .unwrap();
    let mut names: Vec<_> = output.stdout.split(|&byte| byte == 0).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.into_iter().map(<[u8]>::to_vec).collect()
}

/// A restore of these paths to a folder.
fn restore(world: &World, from: &[&str], only: &[&[u8]], to: &str) -> Answer {
    let mut gate = world.gate();
    gate.args(["--restore", "app"]).args(from);
    for path in only {
        gate.arg("--only").arg(OsStr::from_bytes(path));
    }
    gate.arg("--keep-privileges");
    Answer::of(&gate.arg("--to").arg(world.path(to)).output().unwrap())
}

/// A service with all kinds of entries.
fn world() -> World {
    let world = World::new();
    let data = world.path("root/app/data");
    fs::remove_file(data.join("file")).unwrap();
    fs::remove_dir_all(data.join("folder")).unwrap();
    plant(&data);
    if !adorn(&data) {
        eprintln!("SKIPPED: no attributes or ACLs here; the rest is tried without");
    }
    world
}

#[track_caller]
fn is_the_chosen_part(world: &World, to: &str) {
    let (data, tree) = (world.path("root/app/data"), world.path(to));
    // The folder has another name of `file`, which comes along.
    let mut expected: Vec<&[u8]> = vec![b"file", b"folder", b"folder/link", b"folder/same"];
    expected.extend(&CHOSEN[1..]);
    expected.sort_unstable();
    assert_eq!(found(&tree), expected);
    let mut entries: Vec<&[u8]> = vec![b"file", b"folder"];
    entries.extend(&CHOSEN[1..]);
    assert!(packed(&tree, &entries) == packed(&data, &entries));
    // 64 MiB with a few bytes in them.
    assert!(fs::metadata(tree.join("holes")).unwrap().blocks() < 2048);
}

#[test]
fn chosen_files_come_back_from_an_archive() {
    if !have_rclone() {
        return;
    }
    let world = world();
    world.request(&world.archive()).expect(0);
    let answer = restore(&world, &[], &CHOSEN, "part").expect(0);
    is_the_chosen_part(&world, "part");
    assert!(
        answer.out.contains("4 chosen paths of app-") && answer.out.contains("as its manifest"),
        "{}",
        answer.out
    );
    assert!(world.read("audit.jsonl").contains("--only folder --only "));
    // A path that is missing is named before the archive is read.
    let answer = restore(&world, &[], &[b"empty", b"no/such"], "none").expect(69);
    assert!(
        answer.err.contains("does not hold no/such"),
        "{}",
        answer.err
    );
    // A file has no entries below it.
    restore(&world, &[], &[b"file/below"], "none").expect(69);
    let archives = world.path("remote/OdroidBackup/app/archives");
    for name in names(&archives) {
        if !name.ends_with(".tar.gz") {
            fs::remove_file(archives.join(name)).unwrap();
        }
    }
    let answer = restore(&world, &[], &[b"empty"], "none").expect(69);
    assert!(answer.err.contains("--only needs"), "{}", answer.err);
    let left = names(&world.path(""));
    let left: Vec<_> = left
        .iter()
        .filter(|name| name.contains("none") || name.contains("restoring"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn chosen_files_come_back_from_a_mirror_and_no_other_content_is_read() {
    if !have_rclone() {
        return;
    }
    let world = world();
    world.request(&world.sync()).expect(0);
    let mirror = world.path("remote/OdroidBackup/app/data");
    // A content that is not chosen may be missing, and one that is chosen may not.
    fs::remove_file(mirror.join("many holes")).unwrap();
    restore(&world, &["--from", "mirror"], &CHOSEN, "part").expect(0);
    is_the_chosen_part(&world, "part");
    let answer = restore(&world, &["--from", "mirror"], &[b"no"], "none").expect(69);
    assert!(answer.err.contains("does not hold no"), "{}", answer.err);
    fs::write(mirror.join("file"), vec![b'y'; 100_000]).unwrap();
    let answer = restore(&world, &["--from", "mirror"], &[b"file"], "bad").expect(65);
    assert!(answer.err.contains("different: file"), "{}", answer.err);
    assert!(!world.exists("bad") && world.exists("bad.incomplete"));
}

#[test]
fn chosen_paths_are_for_a_restore_on_the_host_to_a_folder() {
    let world = World::new();
    let refused = world.request("backupctl --restore app --only file");
    assert!(
        refused.expect(64).err.contains("unknown option '--only'"),
        "a request has no such option"
    );
    for words in [
        &["--restore", "app", "--only"][..],
        &["--restore", "app", "--only", ""],
        &["--restore", "app", "--only", "/etc/passwd"],
        &["--restore", "app", "--only", "../data/file"],
        &["--restore", "app", "--only", "folder/../file"],
        &["--restore", "app", "--only", "file", "--in-place"],
        &["--verify", "app", "--only", "file"],
        &["--only", "file"],
    ] {
        world.on_host(words).expect(64);
    }
}
