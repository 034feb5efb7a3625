//! `etc/restore.sh` brings back archives and mirrors without any program of the gate, under the shells of small machines. Other programs look at the results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Answer, World, have, names};
use crate::night::{TwoNights, mirrored, ready, run, seen};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/restore.sh");

/// The shells of Debian, and of rescue systems.
const SHELLS: [&[&str]; 2] = [&["/usr/bin/dash"], &["/usr/bin/busybox", "sh"]];

/// The installed ones of these shells.
fn shells() -> Vec<&'static [&'static str]> {
    let mut shells = SHELLS.to_vec();
    shells.retain(|shell| have(shell[0]));
    shells
}

/// Runs the script with the world's backup folder as its first operand.
fn script(world: &World, shell: &[&str], verb: &str, words: &[&str]) -> Answer {
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args([SCRIPT, verb])
        .arg(world.path("remote/OdroidBackup"))
        .args(words)
        .env("KEEP_PRIVILEGES", "yes")
        .output()
        .unwrap();
    Answer::of(&output)
}

/// A folder for the script to make, as a word.
fn fresh(world: &World, name: &str) -> String {
    world.path(name).display().to_string()
}

/// Names, types, modes, owners, times, sizes, numbers of names and targets of a tree; and the contents of its files.
fn outline(tree: &Path) -> Vec<String> {
    let list = seen(tree);
    let entries = list
        .lines()
        .filter(|line| !line.ends_with("  -") && !line.starts_with("sparse has "));
    let contents = Command::new("bash")
        .args([
            "-c",
            "cd \"$1\"; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum",
            "bash",
        ])
        .arg(tree)
        .output()
        .unwrap();
    let contents = String::from_utf8_lossy(&contents.stdout).into_owned();
    let all = entries.map(str::to_owned);
    all.chain(contents.lines().map(str::to_owned)).collect()
}

#[track_caller]
fn same(made: &Path, wanted: &[String], when: &str) {
    let made = outline(made);
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these
            .iter()
            .filter(|line| !those.contains(line))
            .cloned()
            .collect()
    };
    assert!(
        made == wanted,
        "{when}: {:#?}",
        (only(&made, wanted), only(wanted, &made))
    );
}

#[test]
fn the_script_restores_each_point_of_a_transition_to_one_of_two_nights() {
    if !ready() {
        return;
    }
    let world = World::new();
    let nights = TwoNights::new(&world);
    let (old, new) = (outline(&nights.first), outline(&nights.second));
    let (all, commit) = nights.at(0);
    for point in [
        commit - 1,
        commit,
        commit + 3,
        all / 2 + commit / 2,
        all - 1,
        all,
    ] {
        nights.at(point);
        for shell in shells() {
            let to = fresh(&world, "made");
            let answer = script(&world, shell, "mirror", &["app", &to]).expect(0);
            let when = format!("{} after step {point} of {all}", shell[0]);
            same(
                Path::new(&to),
                if point < commit { &old } else { &new },
                &when,
            );
            assert!(answer.out.contains("did not come back"), "{}", answer.out);
            assert!(!world.exists("made.incomplete"));
            fs::remove_dir_all(to).unwrap();
        }
    }
}

#[test]
fn the_script_takes_names_that_a_remote_cannot_hold_from_the_bundle() {
    if !ready() {
        return;
    }
    let world = World::new();
    let wanted = outline(&mirrored(&world));
    for shell in shells() {
        let to = fresh(&world, "made");
        script(&world, shell, "mirror", &["app", &to]).expect(0);
        same(Path::new(&to), &wanted, shell[0]);
        fs::remove_dir_all(to).unwrap();
    }
}

/// A world with a tree of all kinds of entries in the data of `app`, and an archive and a mirror that the gate made.
fn backed_up() -> (World, Vec<String>) {
    let world = World::new();
    let data = world.path("root/app/data");
    fs::remove_dir_all(&data).unwrap();
    run(crate::night::NASTY, &[&data]);
    world.request(&world.sync()).expect(0);
    world.request(&world.archive()).expect(0);
    let outline = outline(&data);
    (world, outline)
}

#[test]
fn the_script_restores_archives_and_mirrors_of_the_gate() {
    if !ready() {
        return;
    }
    let (world, wanted) = backed_up();
    world.write("extra/docs/letter", "dear reader");
    world
        .request("backupctl --sync-extra docs --remote onedrive:/OdroidBackup")
        .expect(0);
    for shell in shells() {
        let [archive, mirror, extra] =
            ["archive", "mirror", "extra-made"].map(|name| fresh(&world, name));
        script(&world, shell, "archive", &["app", "newest", &archive]).expect(0);
        same(Path::new(&archive), &wanted, "an archive");
        // tar brings back what a mirror lacks.
        assert_eq!(
            seen(Path::new(&archive)),
            seen(&world.path("root/app/data"))
        );
        script(&world, shell, "mirror", &["app", &mirror]).expect(0);
        same(Path::new(&mirror), &wanted, "a mirror");
        script(&world, shell, "extra", &["docs", &extra]).expect(0);
        same(
            Path::new(&extra),
            &outline(&world.path("extra/docs")),
            "an extra target",
        );
        let told = script(&world, shell, "list", &[]).expect(0).out;
        let today = world.archives()[0]
            .replace("app-", "archive ")
            .replace(".tar.gz", "");
        assert!(
            told.contains(&today) && told.contains("extra target docs"),
            "{told}"
        );
        assert_eq!(told.matches("complete as of 20").count(), 2, "{told}");
        for made in [archive, mirror, extra] {
            fs::remove_dir_all(made).unwrap();
        }
    }
}

#[test]
fn the_script_leaves_powers_of_programs_out_unless_they_are_asked_for() {
    if !ready() {
        return;
    }
    let (world, _) = backed_up();
    let data = world.path("root/app/data");
    fs::remove_file(data.join("program")).unwrap();
    run(
        "cp /bin/true \"$1\"/program; chmod 6755 \"$1\"/program",
        &[&data],
    );
    world.request(&world.sync()).expect(0);
    world.request(&world.archive()).expect(0);
    for words in [["archive", "app newest"], ["mirror", "app"]] {
        let to = fresh(&world, "made");
        let line = format!(
            "{SCRIPT} {} {} {} {to}",
            words[0],
            world.path("remote/OdroidBackup").display(),
            words[1]
        );
        Answer::of(&Command::new("dash").args(line.split(' ')).output().unwrap()).expect(0);
        run(
            "test \"$(stat -c %a \"$1\"/program)\" = 755 && test -z \"$(getcap \"$1\"/program)\"",
            &[Path::new(&to)],
        );
        fs::remove_dir_all(to).unwrap();
    }
}

/// Insists that the script ends with this code and these words, and makes no folder under the final name.
#[track_caller]
fn refused(world: &World, verb: &str, words: &[&str], code: i32, reason: &str) {
    for shell in shells() {
        let to = fresh(world, "made");
        let answer = script(world, shell, verb, &[words, &[&to]].concat()).expect(code);
        assert!(answer.err.contains(reason), "{}{}", answer.out, answer.err);
        assert!(!world.exists("made"), "{}", answer.err);
        let _ = fs::remove_dir_all(world.path("made.incomplete"));
    }
}

#[test]
fn the_script_finds_damage() {
    if !ready() {
        return;
    }
    let (world, _) = backed_up();
    let app = world.path("remote/OdroidBackup/app");
    let archive = app.join("archives").join(&world.archives()[0]);
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    refused(&world, "archive", &["app", "newest"], 65, "is damaged");
    fs::write(app.join("data/file"), "other").unwrap();
    refused(&world, "mirror", &["app"], 65, "different: data/file");
    fs::remove_file(app.join("data/big")).unwrap();
    refused(&world, "mirror", &["app"], 65, "missing: data/big");
    refused(
        &world,
        "archive",
        &["app", "2001-01-01"],
        69,
        "could not be downloaded",
    );
    refused(&world, "mirror", &["other"], 69, "cannot be listed");
    refused(&world, "mirror", &["../app"], 64, "no name");
}

/// Packs the archive of `$2` in the folder `$1` again, after the command `$3` in its tree, with a manifest that has its digest.
const FORGE: &str = r#"
set -e
cd "$1"; name=${2%.tar.gz}
mkdir tree; tar --numeric-owner -xpzf "$2" -C tree
(cd tree/data; eval "$3")
tar --numeric-owner -czf "$2" -C tree data; rm -r tree
sum=$(sha256sum < "$2" | cut -c 1-64)
gzip -d "$name.manifest.gz"; sed -i "\$ s/[0-9a-f]\{64\}\$/$sum/" "$name.manifest"; gzip "$name.manifest"
"#;

#[test]
fn a_forged_archive_brings_no_device_and_no_unlisted_file() {
    if !ready() {
        return;
    }
    for (command, reason) in [
        ("mknod -m 666 disk b 1 0", "the archive has 1 devices"),
        ("echo evil > unlisted", "and its manifest"),
    ] {
        let (world, _) = backed_up();
        let folder = world.path("remote/OdroidBackup/app/archives");
        let forged = Command::new("bash")
            .args(["-c", FORGE, "bash"])
            .arg(&folder)
            .args([&world.archives()[0], command])
            .status();
        assert!(forged.unwrap().success());
        refused(&world, "archive", &["app", "newest"], 65, reason);
    }
}

/// Writes a book of a mirror with its digest, as an attacker who owns the remote can.
fn forge(app: &Path, lines: &str) -> PathBuf {
    for name in names(app) {
        if name.starts_with("mirror.") {
            fs::remove_file(app.join(name)).unwrap();
        }
    }
    let book = app.join("mirror.manifest-000001.gz");
    let script = r#"{ printf %s "$1"; printf 'end 1 1 0 %s\n' "$(printf %s "$1" | sha256sum | cut -c 1-64)"; } | gzip > "$2""#;
    let status = Command::new("bash")
        .args(["-c", script, "bash", lines])
        .arg(&book)
        .status();
    assert!(status.unwrap().success());
    book
}

#[test]
fn a_hostile_manifest_makes_the_script_write_nowhere_else() {
    if !ready() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    let app = world.path("remote/OdroidBackup/app");
    let outside = world.path("extra/docs");
    let here = outside.display().to_string();
    let sha = "0".repeat(64);
    let head = "backupctl-manifest 2 app.mirror\nmirror 000001 0000000000000000 2026-12-01T03:00:00Z\nd 755 0 0 1.000000000 0 - data\n";
    for (line, reason) in [
        (
            format!("f 644 0 0 1.000000000 3 {sha} data/../out"),
            "leads elsewhere",
        ),
        (
            format!("f 644 0 0 1.000000000 3 {sha} /etc/out"),
            "outside of data",
        ),
        (
            format!("f 644 0 0 1.000000000 3 {sha} data/\\x2e\\x2e/out"),
            "another spelling",
        ),
        (
            format!("f 644 0 0 1.000000000 3 {sha} data/a\\x2fb"),
            "another spelling",
        ),
        (
            format!("f 644 0 0 1.000000000 3 {sha} data/$(touch {here}/out)"),
            "no name",
        ),
        (
            "h 644 0 0 1.000000000 0 - data/x to=/etc/passwd".into(),
            "outside of data",
        ),
        (
            "d 755 4294967295 0 1.000000000 0 - data/x".into(),
            "an owner that is none",
        ),
        (
            format!("f 644 0 0 1.000000000 3 {sha} data/x in=incoming:../../out"),
            "unknown place",
        ),
    ] {
        forge(&app, &format!("{head}{line}\n"));
        for shell in shells() {
            let to = fresh(&world, "made");
            let answer = script(&world, shell, "mirror", &["app", &to]);
            assert_ne!(answer.code, 0, "{line}");
            let told = answer.err.contains(reason) || reason == "no name";
            assert!(told, "{line}: {}", answer.err);
            assert!(names(&outside).iter().all(|name| name != "out"), "{line}");
            assert!(!world.exists("made"), "{line}");
            let _ = fs::remove_dir_all(world.path("made.incomplete"));
        }
    }
    // A link whose name is also a folder: the file must not go through it.
    let victim = world.path("victim");
    fs::create_dir(&victim).unwrap();
    let lines = format!(
        "{head}l 777 0 0 1.000000000 0 - data/folder to={}\nf 644 0 0 1.000000000 12 - data/folder/second\n",
        victim.display()
    );
    forge(&app, &lines);
    for shell in shells() {
        let to = fresh(&world, "made");
        let answer = script(&world, shell, "mirror", &["app", &to]);
        assert_ne!(answer.code, 0, "{}", answer.out);
        assert!(names(&victim).is_empty());
        let _ = fs::remove_dir_all(world.path("made.incomplete"));
    }
}
