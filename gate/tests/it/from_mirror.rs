//! A mirror without a manifest comes back: its content, the owners and modes that an archive knows, and links that lead
//! nowhere else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use crate::harness::{World, have_rclone, is_root, names};
use crate::restore::restored;

/// Takes the books of the mirror away: gates up to release 0.1 wrote none.
fn forget_books(world: &World) {
    let folder = world.path("remote/OdroidBackup/app");
    for name in names(&folder) {
        if name.starts_with("mirror.") {
            fs::remove_file(folder.join(name)).unwrap();
        }
    }
}

#[test]
fn a_mirror_comes_back_with_the_owners_and_modes_that_an_archive_knows() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let data = world.path("root/app/data");
    let mode = |name: &str, mode| {
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("file", 0o4751);
    mode("folder", 0o2750);
    symlink("../file", data.join("folder/link")).unwrap();
    if is_root() {
        for (name, uid) in [
            ("", 77),
            ("file", 1234),
            ("folder", 1235),
            ("folder/second", 1236),
        ] {
            chown(data.join(name), Some(uid), Some(uid)).unwrap();
        }
        mode("file", 0o4751);
    }
    world.request(&world.archive()).expect(0);
    let text = "newer than the archive";
    world.write("root/app/data/new", text);
    fs::create_dir_all(data.join("folder/added/deep")).unwrap();
    for name in ["folder/wal", "folder/added/deep/segment"] {
        fs::write(data.join(name), text).unwrap();
    }
    // The newest archive has no manifest; the one before knows the owners.
    let archives = world.path("remote/OdroidBackup/app/archives");
    for name in names(&archives) {
        let (_, kind) = name.split_once('.').unwrap();
        fs::rename(
            archives.join(&name),
            archives.join(format!("app-2026-11-01.{kind}")),
        )
        .unwrap();
    }
    fs::write(archives.join("app-2026-11-02.tar.gz"), "cut").unwrap();
    world.request(&world.sync()).expect(0);
    forget_books(&world);
    let mirrored = crate::harness::can_mount();
    let answer = world
        .on_host(&["--restore", "app", "--from", "mirror"])
        .expect(0);
    assert!(
        answer.err.contains("hard links") && answer.err.contains("ACLs"),
        "{}",
        answer.err
    );
    let tree = restored(&world);
    let seen = |name: &str| tree.join(name).symlink_metadata().unwrap();
    assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "content");
    assert_eq!(fs::read_to_string(tree.join("new")).unwrap(), text);
    assert_eq!(seen("file").mode() & 0o7777, 0o751);
    assert_eq!(seen("folder").mode() & 0o7777 & !0o2000, 0o750);
    assert_eq!(seen("new").mode() & 0o7777, 0o600);
    assert_eq!(
        seen("file").mtime(),
        fs::metadata(data.join("file")).unwrap().mtime()
    );
    if mirrored {
        assert_eq!(
            fs::read_link(tree.join("folder/link")).unwrap(),
            Path::new("../file")
        );
        assert!(!tree.join("folder/link.rclonelink").exists());
    }
    if is_root() {
        let owners = ["", "file", "folder", "folder/second", "new"].map(|name| seen(name).uid());
        assert_eq!(owners, [77, 1234, 1235, 1236, 77]);
        // Newer entries belong to the folder that they lie in, and so to the database that reads them.
        for name in [
            "folder/wal",
            "folder/added",
            "folder/added/deep",
            "folder/added/deep/segment",
        ] {
            assert_eq!((seen(name).uid(), seen(name).gid()), (1235, 1235), "{name}");
        }
        if mirrored {
            assert_eq!(seen("folder/link").uid(), 0);
        }
    }
    assert!(answer.err.contains("set-user-ID"), "{}", answer.err);
}

#[test]
fn links_in_a_mirror_lead_nothing_out_of_the_tree() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    let mirror = world.path("remote/OdroidBackup/app/data");
    fs::create_dir_all(mirror.join("out")).unwrap();
    let outside = world.path("extra/docs");
    fs::write(mirror.join("out.rclonelink"), outside.display().to_string()).unwrap();
    fs::write(mirror.join("out/planted"), "x").unwrap();
    // The manifest knows `folder` as a directory; through a link it would give a foreign one away.
    fs::write(
        mirror.join("folder.rclonelink"),
        outside.display().to_string(),
    )
    .unwrap();
    fs::write(mirror.join("empty.rclonelink"), "").unwrap();
    let before = fs::metadata(&outside).unwrap();
    world
        .on_host(&["--restore", "app", "--from", "mirror"])
        .expect(0);
    assert!(names(&outside).is_empty());
    let after = fs::metadata(&outside).unwrap();
    assert_eq!((before.mode(), before.uid()), (after.mode(), after.uid()));
    let tree = restored(&world);
    assert_eq!(fs::read_to_string(tree.join("out/planted")).unwrap(), "x");
    assert_eq!(fs::read_link(tree.join("folder")).unwrap(), outside);
    assert!(tree.join("empty.rclonelink").exists());
}

/// An rclone that cannot download the file `file`, as when the remote takes it for malware.
fn refuse_a_file(world: &World) {
    let program = world.script(
        "refusing",
        "test $1 = copy || exec /usr/bin/rclone \"$@\"\n/usr/bin/rclone \"$@\" --exclude /file\necho '{\"level\":\"error\",\"msg\":\"Failed to copy: failed to open source object: malwareDetected: no\",\"object\":\"file\"}' >&2\nexit 1\n",
    );
    world.configure_with("", &program);
}

#[test]
fn a_mirror_comes_back_without_a_file_that_the_remote_refuses() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    refuse_a_file(&world);
    let before = names(&world.path("root/app"));
    let answer = world
        .on_host(&["--restore", "app", "--from", "mirror"])
        .expect(65);
    assert!(
        answer.err.lines().any(|line| line == "missing: file"),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("malwareDetected"), "{}", answer.err);
    let made: Vec<String> = names(&world.path("root/app"))
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    let [made] = &made[..] else {
        panic!("{made:?}");
    };
    assert!(made.ends_with(".incomplete"), "{made}");
    let tree = world.path("root/app").join(made);
    assert!(!tree.join("file").exists());
    assert_eq!(
        fs::read_to_string(tree.join("folder/second")).unwrap(),
        "more content"
    );
    world
        .on_host(&["--restore", "app", "--from", "mirror", "--in-place"])
        .expect(65);
    assert_eq!(world.read("root/app/data/file"), "content");
}

#[test]
fn a_manifest_that_cannot_be_read_is_a_warning() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    world.request(&world.sync()).expect(0);
    forget_books(&world);
    let folder = world.path("remote/OdroidBackup/app/archives");
    let manifest = world
        .listing("app/archives")
        .into_iter()
        .find(|name| name.ends_with(".manifest.gz"))
        .unwrap();
    let whole = fs::read(folder.join(&manifest)).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"no manifest"] {
        fs::write(folder.join(&manifest), damaged).unwrap();
        for words in [
            &["--restore", "app"][..],
            &["--restore", "app", "--from", "mirror"],
        ] {
            let answer = world.on_host(words).expect(0);
            assert!(
                answer.err.contains("manifest.gz cannot be read"),
                "{}",
                answer.err
            );
            let tree = restored(&world);
            assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "content");
            fs::remove_dir_all(tree).unwrap();
        }
    }
}
