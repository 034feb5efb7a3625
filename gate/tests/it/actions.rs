//! The verbs, with a real rclone and a local folder as the remote.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::{World, can_mount, have_rclone, names};

#[test]
fn a_night_goes_through_and_the_service_is_back() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    fs::create_dir(world.path("root/app/data/empty")).unwrap();
    symlink("/etc/passwd", world.path("root/app/data/link")).unwrap();
    world.request("backupctl --stop app --timeout 30").expect(0);
    assert!(!world.exists("up") && world.exists("state/leases/app.json"));
    world.request(&world.sync()).expect(0);
    world.request(&world.archive()).expect(0);
    world
        .request("backupctl --start app --timeout 30")
        .expect(0);
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));

    let mirror = world.path("remote/OdroidBackup/app/data");
    assert_eq!(
        fs::read_to_string(mirror.join("folder/second")).unwrap(),
        "more content"
    );
    // An empty folder stands in the manifest alone.
    assert!(!mirror.join("empty").exists());
    if can_mount() {
        // A path as text: a link in a mirror on this host could lead outside the mirror.
        assert_eq!(
            fs::read_to_string(mirror.join("link.rclonelink")).unwrap(),
            "/etc/passwd"
        );
    }
    let archives = world.archives();
    assert_eq!(archives.len(), 1);
    let out = world.path("out");
    fs::create_dir(&out).unwrap();
    let file = world
        .path("remote/OdroidBackup/app/archives")
        .join(&archives[0]);
    assert!(
        Command::new("tar")
            .arg("-xzf")
            .arg(file)
            .arg("-C")
            .arg(&out)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        names(&out.join("data")),
        ["empty", "file", "folder", "link"]
    );
    assert_eq!(
        fs::read_to_string(out.join("data/file")).unwrap(),
        "content"
    );
    assert_eq!(names(&world.path("spool/app")), Vec::<String>::new());
}

#[test]
fn what_a_sync_replaces_or_deletes_is_kept() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    world.write("root/app/data/file", "other content");
    fs::remove_file(world.path("root/app/data/folder/second")).unwrap();
    world.request(&world.sync()).expect(0);
    assert_eq!(
        world.read("remote/OdroidBackup/app/data/file"),
        "other content"
    );
    assert!(!world.exists("remote/OdroidBackup/app/data/folder/second"));
    let versions = world.listing("app/.versions");
    assert_eq!(versions.len(), 1);
    let date = format!("app/.versions/{}", versions[0]);
    let times = world.listing(&date);
    assert_eq!(times.len(), 1);
    let kept = format!("remote/OdroidBackup/{date}/{}", times[0]);
    assert_eq!(world.read(&format!("{kept}/file")), "content");
    assert_eq!(world.read(&format!("{kept}/folder/second")), "more content");
}

#[test]
fn an_extra_target_is_mirrored_from_where_the_host_says() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.write("extra/docs/page", "text");
    world
        .request("backupctl --sync-extra docs --remote onedrive:/OdroidBackup")
        .expect(0);
    assert_eq!(world.read("remote/OdroidBackup/extra/docs/page"), "text");
}

#[test]
fn a_second_archive_of_the_day_takes_the_place_of_the_first() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    world.write("root/app/data/file", &"longer ".repeat(1000));
    world.request(&world.archive()).expect(0);
    let archives = world.archives();
    assert_eq!(archives.len(), 1);
    let file = world
        .path("remote/OdroidBackup/app/archives")
        .join(&archives[0]);
    let out = Command::new("tar")
        .arg("-xzOf")
        .arg(file)
        .arg("data/file")
        .output()
        .unwrap();
    assert_eq!(out.stdout.len(), 7000);
}

#[test]
fn lightflow_is_copied_while_it_runs() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.write("root/lightflow/data/lightflow.db", "rows");
    let path = world.path("root/lightflow/data").display().to_string();
    for verb in ["--sync", "--archive"] {
        world
            .request(&format!(
                "backupctl {verb} lightflow --path {path} --remote onedrive:/OdroidBackup"
            ))
            .expect(0);
    }
    assert_eq!(
        world.listing("lightflow"),
        [
            "archives",
            "data",
            "mirror.complete",
            "mirror.manifest-000001.gz"
        ]
    );
}

#[test]
fn what_was_down_before_stays_down() {
    let world = World::new();
    fs::remove_file(world.path("up")).unwrap();
    assert_eq!(
        world.request("backupctl --stop app").expect(0).out,
        "app was down already\n"
    );
    let answer = world.request("backupctl --start app").expect(0);
    assert_eq!(answer.out, "app was down before the stop and stays down\n");
    assert!(!world.exists("up"));
    // The stop record is used up: a second start really starts the service.
    world.request("backupctl --start app").expect(0);
    assert!(world.exists("up"));
}

#[test]
fn a_second_stop_does_not_forget_what_was_up() {
    let world = World::new();
    world.request("backupctl --stop app").expect(0);
    let record = world.read("state/leases/app.json");
    world.request("backupctl --stop app").expect(0);
    assert_eq!(world.read("state/leases/app.json"), record);
    world.request("backupctl --start app").expect(0);
    assert!(world.exists("up"));
}

#[test]
fn a_program_gets_a_clean_room() {
    let world = World::new();
    let out = world.path("room").display().to_string();
    world.script("start", &format!(
        "{{ env | sort | grep -v '^_='; ls -l /proc/self/fd | grep -c -v total; readlink /proc/self/fd/0; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status; }} > {out}\n: > {}/up\n",
        world.path("").display()
    ));
    fs::remove_file(world.path("up")).unwrap();
    let mut gate = world.ssh_gate("backupctl --start app");
    gate.env("RCLONE_CONFIG", "/evil")
        .env("LD_LIBRARY_PATH", "/evil")
        .env("TZ", "Evil/Zone")
        .env("FOO", "bar");
    assert!(gate.status().unwrap().success());
    let home = world.path("state/home").display().to_string();
    let room = world.read("room");
    let mut lines: Vec<&str> = room.lines().collect();
    lines.retain(|line| {
        !line.starts_with("PWD=") && !line.starts_with("OLDPWD=") && !line.starts_with("SHLVL=")
    });
    // SIGPIPE, which Rust programs ignore, has its usual meaning again.
    let ignored = lines.pop().and_then(|line| line.strip_prefix("SigIgn:\t"));
    assert_eq!(
        u64::from_str_radix(ignored.unwrap(), 16).unwrap() & 0x1000,
        0
    );
    assert_eq!(
        lines,
        [
            format!("HOME={home}").as_str(),
            "LANG=C.UTF-8",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            format!("TMPDIR={home}").as_str(),
            format!("XDG_CACHE_HOME={home}").as_str(),
            // The three standard descriptors, and the one that ls opened.
            "4",
            "/dev/null",
            // The umask that a service has after a boot.
            "0022",
            "SigBlk:\t0000000000000000",
        ]
    );
}
