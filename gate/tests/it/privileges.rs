//! A hostile remote gets no set-user-ID program onto the host: its archives are made by Python's tarfile, and the
//! restored files are looked at with stat(1), find(1) and getcap(8).

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use archive::check::Comparison;
use archive::extract::{Options, extract};

use crate::archives::adorn;
use crate::harness::{World, have_rclone, is_root};

/// Writes an archive with a root and one entry `data/evil` of this owner, group, and tar format.
const HOSTILE: &str = r#"
import io, sys, tarfile
path, uid, gid, form = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
forms = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}
with tarfile.open(path, "w:gz", format=forms[form]) as tar:
    root = tarfile.TarInfo("data")
    root.type, root.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(root)
    evil = tarfile.TarInfo("data/evil")
    evil.uid, evil.gid, evil.mode, evil.size = uid, gid, 0o6755, 4
    tar.addfile(evil, io.BytesIO(b"evil"))
"#;

#[track_caller]
fn python(script: &str, words: &[&str]) {
    let mut program = Command::new("python3");
    let done = program.arg("-c").arg(script).args(words).output().unwrap();
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{err}");
}

/// The files below a folder with set-user-ID or set-group-ID.
fn privileged(folder: &Path) -> String {
    let found = Command::new("find")
        .arg(folder)
        .args(["-type", "f", "-perm", "/6000", "-printf", "%P %m\n"])
        .output()
        .unwrap();
    let mut lines: Vec<&str> = std::str::from_utf8(&found.stdout)
        .unwrap()
        .lines()
        .collect();
    lines.sort_unstable();
    lines.join(", ")
}

fn planted(world: &World, uid: &str, gid: &str, form: &str) {
    let folder = world.path("remote/OdroidBackup/app/archives");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("app-2026-11-22.tar.gz").display().to_string();
    python(HOSTILE, &[&path, uid, gid, form]);
}

#[test]
fn an_owner_that_chown_takes_for_nobody_is_refused() {
    let nobody = "4294967295";
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("archive.tar.gz");
    for (uid, gid, form) in [
        (nobody, nobody, "pax"),
        (nobody, "0", "pax"),
        ("0", nobody, "gnu"),
        ("-1", "-1", "gnu"),
        ("0", "4294967296", "pax"),
        ("18446744073709551615", "0", "pax"),
    ] {
        python(HOSTILE, &[archive.to_str().unwrap(), uid, gid, form]);
        let target = place.path().join(format!("{uid} {gid} {form}"));
        fs::create_dir(&target).unwrap();
        let none: Option<Comparison<'_>> = None;
        let options = Options {
            owners: is_root(),
            powers: true,
            reserve: 0,
        };
        let into = File::open(&target).unwrap().into();
        let archive = File::open(&archive).unwrap();
        let refused = extract(archive, none, into, options, &mut |_| Ok(()));
        let said = refused.unwrap_err().to_string();
        let fits = said.contains("number") || said.contains("negative");
        assert!(fits, "{uid} {gid} {form}: {said}");
    }
    assert_eq!(privileged(place.path()), "");
}

#[test]
fn verify_and_restore_refuse_such_an_owner() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    planted(&world, "4294967295", "4294967295", "pax");
    for verb in ["--verify", "--restore"] {
        let answer = world.on_host(&[verb, "app"]).expect(65);
        assert!(answer.err.contains("no number of a user"), "{}", answer.err);
    }
    assert_eq!(privileged(&world.path("root")), "");
}

#[test]
fn the_set_user_id_of_any_owner_is_dropped_unless_it_is_asked_for() {
    if !have_rclone() || !is_root() {
        return;
    }
    for uid in ["0", "1000"] {
        let world = World::new();
        planted(&world, uid, uid, "pax");
        let answer = world.on_host(&["--restore", "app"]).expect(0);
        assert!(answer.err.contains("data/evil"), "{}", answer.err);
        assert_eq!(privileged(&world.path("root")), "");
        let to = world.path("kept").display().to_string();
        let words = ["--restore", "app", "--to", &to, "--keep-privileges"];
        world.on_host(&words).expect(0);
        assert_eq!(privileged(&world.path("kept")), "evil 6755");
    }
}

#[test]
fn capabilities_come_back_only_when_they_are_asked_for() {
    let world = World::new();
    let data = world.path("root/app/data");
    fs::write(data.join("empty"), "").unwrap();
    fs::write(data.join("short"), "a program").unwrap();
    if !have_rclone() || !is_root() || !adorn(&data) {
        return;
    }
    let capabilities = |folder: &Path| {
        let seen = Command::new("/usr/sbin/getcap")
            .args(["-r", "."])
            .current_dir(folder)
            .output();
        String::from_utf8(seen.unwrap().stdout).unwrap()
    };
    world.request(&world.archive()).expect(0);
    world.request(&world.sync()).expect(0);
    for from in [None, Some("mirror")] {
        let (bare, kept) = (world.path("bare"), world.path("kept"));
        for (folder, option) in [(&bare, None), (&kept, Some("--keep-privileges"))] {
            let to = folder.display().to_string();
            let mut words = vec!["--restore", "app", "--to", &to];
            words.extend(from.map(|_| "--from"));
            words.extend(from);
            words.extend(option);
            let answer = world.on_host(&words).expect(0);
            let named = answer.err.contains("data/short");
            assert_eq!(named, option.is_none(), "{}", answer.err);
        }
        assert_eq!(capabilities(&bare), "", "{from:?}");
        assert_eq!(capabilities(&kept), "./short cap_net_raw=ep\n", "{from:?}");
        fs::remove_dir_all(bare).unwrap();
        fs::remove_dir_all(kept).unwrap();
    }
}

/// Rewrites a manifest of version 2 with another owner for `data/file`.
const MANIFEST: &str = r#"
import gzip, sys
path, owner = sys.argv[1:]
lines = gzip.open(path, "rt").read().splitlines()
for at, line in enumerate(lines):
    fields = line.split(" ")
    if fields[7:8] == ["data/file"]:
        lines[at] = " ".join([fields[0], "6755", owner, owner] + fields[4:])
gzip.open(path, "wt").write("\n".join(lines) + "\n")
"#;

#[test]
fn a_manifest_that_makes_nobody_the_owner_gives_no_privileges() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let file = world.path("root/app/data/file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    if is_root() {
        chown(&file, Some(1234), Some(1234)).unwrap();
    }
    world.request(&world.archive()).expect(0);
    world.request(&world.sync()).expect(0);
    let archives = world.path("remote/OdroidBackup/app/archives");
    let name = world
        .archives()
        .remove(0)
        .replace(".tar.gz", ".manifest.gz");
    let manifest = archives.join(name).display().to_string();
    python(MANIFEST, &[&manifest, "4294967295"]);
    // A restore works without a manifest if it cannot read the manifest.
    for (words, code) in [
        (&["--verify", "app"][..], 65),
        (&["--restore", "app"], 0),
        (&["--restore", "app", "--from", "mirror"], 0),
    ] {
        let answer = world.on_host(words).expect(code);
        // The manifest of a mirror is another one.
        let is_mirror = words.contains(&"mirror");
        assert!(
            is_mirror || answer.err.contains("manifest"),
            "{}",
            answer.err
        );
        assert_eq!(privileged(&world.path("root")), "", "{words:?}");
    }
}
