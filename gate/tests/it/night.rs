//! A mirror with a manifest: `--restore --from mirror` brings back the last complete night exactly, at any point of a
//! transition. Another program writes the mirrors, and other programs read the results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Answer, World, have, have_rclone, is_root, names};
use crate::restore::restored;

/// A tree of all kinds of entries, of several owners; only root can make it. `$1` is its folder.
const NASTY: &str = r#"
set -e
mkdir -p "$1" && cd "$1"
printf one > file; printf more > 'a b\c'; mkdir -p 'dir/deep er' empty pg/base; printf x > 'dir/deep er/ünïcode'
printf 'line\nbreak' > "$(printf 'new\nline')"; printf u > '␊ picture'; printf q > '‛quote'; printf c > 'colon:star*'
: > zero; head -c 300000 /dev/urandom > big
truncate -s 1M sparse; printf end >> sparse; printf mid | dd of=sparse bs=1 seek=500000 conv=notrunc status=none
mkfifo pipe; ln file hard; ln 'dir/deep er/ünïcode' zz-hard; ln -s ../nowhere dir/link; ln -s file link.txt
printf run > program; chmod 4755 program; setcap cap_net_raw+ep program 2>/dev/null || chmod 6755 program
setfattr -n user.note -v 'a=b' file; setfacl -m u:1234:rw,g:77:r dir; setfacl -d -m u:1234:rwx dir
printf 14 > pg/PG_VERSION; printf wal > pg/base/1; chown -R 100998:100998 pg; chmod 700 pg pg/base; chmod 600 pg/base/1
chmod 1777 empty; chown 7:8 'dir/deep er'; chown -h 5:6 dir/link
printf con > CON; mkdir aux; printf in > aux/x
touch -d '1969-12-31T23:59:58.5Z' zero; touch -d '2020-02-02T02:02:02.123456789Z' file; touch -h -d '2021-01-01T00:00:00.000000001Z' dir/link
touch -d '2022-02-02T02:02:02.2Z' dir pg pg/base empty aux; touch -d '2023-03-03T03:03:03.3Z' .
"#;

/// The second night: changed, new, gone and renamed entries, and entries of another type.
const SECOND: &str = r#"
set -e
cd "$1"
printf 'two!' > file; printf newer > brand-new; mkdir fresh; printf f > fresh/f; rm 'a b\c'; mv big BIG
rm -r 'dir/deep er' zz-hard; printf 'now a file' > 'dir/deep er'; rm zero; mkdir zero; printf in > zero/inside
rm dir/link; ln -s elsewhere dir/link; chmod 640 program; chown 9:9 pipe; rm empty -r; printf same > twin1; printf same > twin2
rm link.txt; printf 'no link' > link.txt; setfattr -n user.note -v other CON; touch -d '2024-04-04T04:04:04.4Z' .
"#;

fn run(script: &str, words: &[&Path]) {
    let output = Command::new("bash")
        .args(["-c", script, "bash"])
        .args(words)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
}

/// Writes a mirror; see `write_mirror.py`.
fn write_mirror(words: &[&str]) -> Vec<u32> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/write_mirror.py");
    let output = Command::new("python3")
        .arg(program)
        .args(words)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let numbers = String::from_utf8_lossy(&output.stdout).into_owned();
    numbers
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

/// Everything about a tree, as GNU tar and find see it.
fn seen(tree: &Path) -> String {
    let script = r#"
cd "$1"
find . -type d -printf '%P %y %m %U %G %T@\n' -o -printf '%P %y %m %U %G %T@ %s %n %l\n' | LC_ALL=C sort
find . ! -type l -print0 | LC_ALL=C sort -z | xargs -0 getfacl -n -p | sha256sum
find . -print0 | LC_ALL=C sort -z | xargs -0 getfattr -P -h -d -m - -e hex | sha256sum
tar --format=posix --sort=name --numeric-owner --acls --xattrs --xattrs-include='*' --pax-option=delete=atime,delete=ctime -cf - . | sha256sum
stat -c '%n has %b blocks' sparse
"#;
    let output = Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(tree)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Insists that two trees are the same, and shows the lines that differ.
#[track_caller]
fn same(one: &str, other: &str, when: &str) {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.lines().collect(), other.lines().collect());
    let only = |these: &[&str], those: &[&str]| -> Vec<String> {
        let differing = these.iter().filter(|line| !those.contains(line));
        differing.map(|line| (*line).to_owned()).collect()
    };
    let differing = (only(&one, &other), only(&other, &one));
    assert!(one == other, "{when}: {differing:#?}");
}

fn ready() -> bool {
    have_rclone()
        && is_root()
        && ["/usr/bin/setfacl", "/usr/bin/setfattr", "/usr/sbin/setcap"]
            .iter()
            .all(|program| have(program))
}

/// A world with a tree of all kinds of entries, and its mirror. `BUNDLED` entries are in the bundle.
fn mirrored(world: &World) -> PathBuf {
    let tree = world.path("first");
    run(NASTY, &[&tree]);
    let app = world.path("remote/OdroidBackup/app");
    let (books, data) = (app.join("mirror."), app.join("data"));
    let words = [&tree, &books, &data].map(|path| path.to_str().unwrap().to_owned());
    write_mirror(&[
        "whole",
        &words[0],
        &words[1],
        &words[2],
        "app",
        "data/CON",
        "data/aux/x",
        "data/‛quote",
    ]);
    tree
}

fn from_mirror(world: &World, more: &[&str]) -> Answer {
    world.on_host(&[&["--restore", "app", "--from", "mirror"], more].concat())
}

/// Restores to a fresh folder, and returns what other programs see there.
fn restored_to(world: &World, name: &str) -> String {
    let to = world.path(name);
    let words = ["--keep-privileges", "--to", to.to_str().unwrap()];
    from_mirror(world, &words).expect(0);
    let seen = seen(&to);
    fs::remove_dir_all(to).unwrap();
    seen
}

#[test]
fn a_mirror_with_a_manifest_comes_back_exactly() {
    if !ready() {
        return;
    }
    let world = World::new();
    let tree = mirrored(&world);
    let wanted = seen(&tree);
    assert!(
        wanted.contains("pipe p") && wanted.lines().count() > 25,
        "{wanted}"
    );
    same(&restored_to(&world, "exact"), &wanted, "with all powers");
    // Without the option programs lose their powers, and nothing else.
    let answer = from_mirror(&world, &[]).expect(0);
    assert!(
        answer.err.contains("set-user-ID") && answer.err.contains("program"),
        "{}",
        answer.err
    );
    assert!(
        answer.out.contains("complete as of 2026-12-01T03:00:00Z"),
        "{}",
        answer.out
    );
    let made = restored(&world);
    run(
        "cd \"$1\"; setcap -r program 2>/dev/null; chmod 755 program; touch -d '2023-03-03T03:03:03.3Z' .",
        &[&tree],
    );
    run(
        "test \"$(stat -c %a \"$1\"/program)\" = 755; touch -r \"$2\"/program \"$1\"/program",
        &[&made, &tree],
    );
    same(&seen(&made), &seen(&tree), "without powers");
    let left = names(&world.path("root/app"));
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

#[test]
fn a_mirror_in_place_has_nothing_from_before() {
    if !ready() {
        return;
    }
    let world = World::new();
    let tree = mirrored(&world);
    from_mirror(&world, &["--keep-privileges", "--in-place"]).expect(0);
    same(
        &seen(&world.path("root/app/data")),
        &seen(&tree),
        "in place",
    );
}

/// Two nights of a tree, and a mirror that is on its way from the one to the other.
struct TwoNights {
    first: PathBuf,
    second: PathBuf,
    app: PathBuf,
}

impl TwoNights {
    fn new(world: &World) -> Self {
        let [first, second, app] =
            ["first", "second", "remote/OdroidBackup/app"].map(|name| world.path(name));
        run(NASTY, &[&first]);
        // rclone cannot read such a file of a local folder; the bundle is for that.
        run("rm \"$1\"/‛quote", &[&first]);
        run("cp -a \"$1\" \"$2\"", &[&first, &second]);
        run(SECOND, &[&second]);
        Self { first, second, app }
    }

    /// Writes the mirror as it is after this step. Returns the number of all steps, and of the step that writes the delta.
    fn at(&self, point: u32) -> (u32, u32) {
        let _ = fs::remove_dir_all(&self.app);
        let [first, second, app] =
            [&self.first, &self.second, &self.app].map(|path| path.to_str().unwrap());
        let numbers = write_mirror(&["steps", first, second, app, &point.to_string()]);
        (numbers[1], numbers[2])
    }
}

/// Makes each of these points of a transition, and restores there. The points are given the number of all steps and of
/// the step that writes the delta.
fn restore_at(points: fn(u32, u32) -> Vec<u32>) {
    if !ready() {
        return;
    }
    let world = World::new();
    let nights = TwoNights::new(&world);
    let (old, new) = (seen(&nights.first), seen(&nights.second));
    let (all, commit) = nights.at(0);
    assert!(all > 25 && commit > 10, "{all} {commit}");
    for point in points(all, commit) {
        nights.at(point);
        let wanted = if point < commit { &old } else { &new };
        let when = format!("after step {point} of {all}");
        same(&restored_to(&world, "at-a-point"), wanted, &when);
    }
}

#[test]
fn the_delta_decides_which_night_comes_back() {
    restore_at(|all, commit| vec![commit - 1, commit, commit + 3, all - 1, all]);
}

#[test]
fn each_point_of_a_transition_restores_to_one_of_two_nights() {
    restore_at(|all, _| (0..=all).collect());
}

/// The incomplete tree that a restore left.
fn incomplete(world: &World) -> PathBuf {
    let names = names(&world.path("root/app"));
    let found: Vec<&String> = names
        .iter()
        .filter(|name| name.ends_with(".incomplete"))
        .collect();
    assert_eq!(found.len(), 1, "{names:?}");
    assert!(
        names.iter().all(|name| !name.starts_with(".restoring")),
        "{names:?}"
    );
    world.path("root/app").join(found[0])
}

#[test]
fn missing_and_changed_files_are_named() {
    if !ready() {
        return;
    }
    let world = World::new();
    mirrored(&world);
    let data = world.path("remote/OdroidBackup/app/data");
    fs::write(data.join("file"), "two").unwrap();
    fs::remove_file(data.join("pg/base/1")).unwrap();
    fs::write(data.join("stranger"), "not in the manifest").unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    for line in ["different: file", "missing: pg/base/1"] {
        assert!(
            answer.err.lines().any(|told| told == line),
            "{}",
            answer.err
        );
    }
    let tree = incomplete(&world);
    assert!(!tree.join("stranger").exists() && tree.join("pg/PG_VERSION").exists());
    assert!(names(&tree).contains(&"CON".to_owned()));
    fs::remove_dir_all(&tree).unwrap();
    // A bundle that is gone: each of its entries is missing.
    let app = world.path("remote/OdroidBackup/app");
    let bundle = names(&app)
        .into_iter()
        .find(|name| name.starts_with("mirror.bundle-"))
        .unwrap();
    fs::rename(app.join(&bundle), app.join("elsewhere")).unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    for line in ["missing: CON", "missing: aux/x"] {
        assert!(
            answer.err.lines().any(|told| told == line),
            "{}",
            answer.err
        );
    }
    fs::remove_dir_all(incomplete(&world)).unwrap();
    // A bundle with another content than its name says is not taken for good.
    fs::write(app.join(&bundle), "no archive").unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    assert!(answer.err.contains("finding: "), "{}", answer.err);
}

#[test]
fn a_mirror_without_a_complete_night_is_named() {
    if !ready() {
        return;
    }
    let world = World::new();
    mirrored(&world);
    let app = world.path("remote/OdroidBackup/app");
    let manifest = app.join("mirror.manifest-000001.gz");
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    assert!(
        answer.err.contains("no manifest of") && answer.err.contains("damaged"),
        "{}",
        answer.err
    );
    let tree = incomplete(&world);
    assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "one");
    fs::remove_dir_all(&tree).unwrap();
    fs::remove_file(&manifest).unwrap();
    world.write(
        "remote/OdroidBackup/app/mirror.complete",
        "backupctl-mirror 1 app.mirror\nowner 0123456789abcdef\nfirst upload 3 of 10 files, 31 of 100 bytes\ncomplete never\nwritten 2026-12-01T03:00:00Z\n",
    );
    let answer = from_mirror(&world, &[]).expect(65);
    assert!(
        answer.err.contains("first upload") && answer.err.contains("31 %"),
        "{}",
        answer.err
    );
    assert_eq!(
        fs::read_to_string(incomplete(&world).join("file")).unwrap(),
        "one"
    );
}

#[test]
fn a_whole_mirror_is_good() {
    if !ready() {
        return;
    }
    let world = World::new();
    mirrored(&world);
    let verify = || world.on_host(&["--verify", "app", "--from", "mirror"]);
    let told = verify().expect(0).out;
    assert!(
        told.contains("is good: 27 entries, 15 files")
            && told.contains("complete as of 2026-12-01"),
        "{told}"
    );
    let data = world.path("remote/OdroidBackup/app/data");
    // Of the same size and time as before.
    run(
        "touch -r \"$1\"/big \"$2\"; printf x | dd of=\"$1\"/big conv=notrunc status=none; touch -r \"$2\" \"$1\"/big",
        &[&data, &world.path("time")],
    );
    fs::remove_file(data.join("new\nline")).unwrap();
    fs::write(data.join("dir/stranger"), "x").unwrap();
    let told = verify().expect(65).err;
    for line in [
        "finding: other than the manifest says: data/big",
        "finding: missing: data/new?line",
        "finding: not in the manifest: dir/stranger",
    ] {
        assert!(told.lines().any(|one| one == line), "{line}: {told}");
    }
    let app = world.path("remote/OdroidBackup/app");
    let bundle = names(&app)
        .into_iter()
        .find(|name| name.starts_with("mirror.bundle-"))
        .unwrap();
    fs::remove_file(app.join(bundle)).unwrap();
    let told = verify().expect(65).err;
    assert!(told.contains("missing: data/CON"), "{told}");
    fs::remove_dir_all(&data).unwrap();
    let told = verify().expect(65).err;
    assert!(told.contains("missing: data/file"), "{told}");
    fs::remove_dir_all(&app).unwrap();
    let told = verify().expect(69).err;
    assert!(told.contains("no mirror of app with a manifest"), "{told}");
}

#[test]
fn a_mirror_in_the_middle_of_a_transition_is_good() {
    if !ready() {
        return;
    }
    let world = World::new();
    let nights = TwoNights::new(&world);
    let (_, commit) = nights.at(0);
    for (point, night) in [
        (commit - 1, "2026-12-01"),
        (commit, "2026-12-02"),
        (commit + 4, "2026-12-02"),
    ] {
        nights.at(point);
        let told = world
            .on_host(&["--verify", "app", "--from", "mirror"])
            .expect(0)
            .out;
        assert!(
            told.contains("is good") && told.contains(&format!("complete as of {night}")),
            "{told}"
        );
        assert_eq!(told.contains("interrupted"), point >= commit, "{told}");
    }
}

#[test]
fn the_list_tells_the_night_of_each_mirror() {
    if !ready() {
        return;
    }
    let world = World::new();
    let nights = TwoNights::new(&world);
    let (_, commit) = nights.at(0);
    let extra = world.path("remote/OdroidBackup/extra");
    let (books, data) = (extra.join(".manifests/docs."), extra.join("docs"));
    let (books, data) = (books.to_str().unwrap(), data.to_str().unwrap());
    fs::create_dir_all(extra.join(".manifests")).unwrap();
    write_mirror(&[
        "whole",
        nights.first.to_str().unwrap(),
        books,
        data,
        "extra-docs",
    ]);
    let list = |words: &[&str]| world.on_host(&[&["--list"], words].concat()).expect(0).out;
    let mirror = |words: &[&str], place: &str| -> serde_json::Value {
        let told: serde_json::Value = serde_json::from_str(&list(words)).unwrap();
        let remote = &told["remotes"][0];
        remote.pointer(place).unwrap()["mirror"].clone()
    };
    let told = list(&[]);
    assert_eq!(
        told.matches("complete as of 2026-12-01T03:00:00Z").count(),
        2,
        "{told}"
    );
    for words in [&["app", "--json"][..], &["--json"]] {
        let app = mirror(words, "/services/app");
        assert_eq!(app["complete_as_of"], "2026-12-01T03:00:00Z", "{app}");
        assert_eq!(
            (&app["transition"], &app["first_upload"]),
            (&false.into(), &serde_json::Value::Null)
        );
    }
    assert_eq!(
        mirror(&["--json"], "/extra/docs")["complete_as_of"],
        "2026-12-01T03:00:00Z"
    );
    nights.at(commit + 2);
    let told = list(&["app"]);
    assert!(
        told.contains("complete as of 2026-12-02T03:00:00Z") && told.contains("still has to move"),
        "{told}"
    );
    assert_eq!(
        mirror(&["app", "--json"], "/services/app")["transition"],
        true
    );
    // A delta that was cut off did not happen.
    let delta = nights.app.join("mirror.manifest-000001.0001.gz");
    let whole = fs::read(&delta).unwrap();
    fs::write(&delta, &whole[..whole.len() - 9]).unwrap();
    assert!(list(&["app"]).contains("complete as of 2026-12-01T03:00:00Z"));
    fs::remove_file(nights.app.join("mirror.complete")).unwrap();
    assert!(list(&["app"]).contains("complete as of: unknown"));
    world.write(
        "remote/OdroidBackup/app/mirror.complete",
        "backupctl-mirror 1 app.mirror\nowner 0123456789abcdef\nfirst upload 3 of 10 files, 31000 of 100000 bytes\ncomplete never\nwritten 2026-12-01T03:00:00Z\n",
    );
    let told = list(&["app"]);
    assert!(
        told.contains("complete as of: never") && told.contains("first upload: 31 %"),
        "{told}"
    );
    let first = mirror(&["app", "--json"], "/services/app")["first_upload"].clone();
    assert_eq!(first["of_bytes"], 100_000, "{first}");
}

#[test]
fn a_tree_that_the_gate_mirrored_comes_back_exactly() {
    if !ready() {
        return;
    }
    let world = World::new();
    world.limit("max_delete = 100\nmax_delete_percent = 100\n");
    let data = world.path("root/app/data");
    fs::remove_dir_all(&data).unwrap();
    for script in [NASTY, SECOND] {
        run(script, &[&data]);
        world.request(&world.sync()).expect(0);
        let wanted = seen(&data);
        same(&restored_to(&world, "exact"), &wanted, "after a sync");
        let told = world
            .on_host(&["--verify", "app", "--from", "mirror"])
            .expect(0)
            .out;
        assert!(told.contains("is good"), "{told}");
    }
}
