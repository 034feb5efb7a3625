//! A mirror with a manifest: `--restore --from mirror` brings back the last complete night exactly, at any point of a
//! transition. Another program writes the mirrors, and other programs read the results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Answer, World, have, have_rclone, is_root, names};
use crate::restore::restored;

/// A tree of all kinds of entries, of several owners; only root can make it. `$1` is its folder.
pub(crate) const NASTY: &str = r#"
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

pub(crate) fn run(script: &str, words: &[&Path]) {
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
pub(crate) fn write_mirror(words: &[&str]) -> Vec<u32> {
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
pub(crate) fn seen(tree: &Path) -> String {
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

pub(crate) fn ready() -> bool {
    have_rclone()
        && is_root()
        && ["/usr/bin/setfacl", "/usr/bin/setfattr", "/usr/sbin/setcap"]
            .iter()
            .all(|program| have(program))
}

/// A world with a tree of all kinds of entries, and its mirror. `BUNDLED` entries are in the bundle.
pub(crate) fn mirrored(world: &World) -> PathBuf {
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

pub(crate) fn from_mirror(world: &World, more: &[&str]) -> Answer {
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
pub(crate) struct TwoNights {
    pub(crate) first: PathBuf,
    pub(crate) second: PathBuf,
    pub(crate) app: PathBuf,
}

impl TwoNights {
    pub(crate) fn new(world: &World) -> Self {
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
    pub(crate) fn at(&self, point: u32) -> (u32, u32) {
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
