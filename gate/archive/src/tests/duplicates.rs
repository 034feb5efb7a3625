//! Copies of trees, compared with their originals by find(1), cmp(1) and getfattr(1).

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::duplicate::{Duplicated, Pass, Way, duplicate};

fn pass(from: &Path, to: &Path, live: bool) -> Duplicated {
    let order = Pass {
        way: Way::Copies,
        live,
        reserve: 0,
    };
    let [from, to] = [from, to].map(|path| File::open(path).unwrap().into());
    duplicate(&from, &to, order, &mut |_| Ok(())).unwrap()
}

/// All facts of a tree, as other programs see them.
fn seen(tree: &Path) -> String {
    let run = |program: &str, arguments: &[&str]| {
        let ran = Command::new(program)
            .args(arguments)
            .current_dir(tree)
            .output()
            .unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    let mut lines: Vec<String> = run("find", &[".", "-printf", "%P %y %m %U %G %T@ %l %n\n"])
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    let sums = run(
        "sh",
        &[
            "-c",
            "find . -type f -print0 | sort -z | xargs -0 sha256sum",
        ],
    );
    let names = run(
        "sh",
        &[
            "-c",
            "find . -print0 | sort -z | xargs -0 getfattr -h -d -m - 2>&1",
        ],
    );
    lines.join("\n") + &sums + &names
}

fn tree(at: &Path) {
    for folder in ["a/b", "a/empty", "odd name\n"] {
        fs::create_dir_all(at.join(folder)).unwrap();
    }
    for (name, text) in [("a/one", "1"), ("a/b/two", "22"), ("odd name\n/three", "")] {
        fs::write(at.join(name), text).unwrap();
    }
    fs::hard_link(at.join("a/one"), at.join("a/b/one again")).unwrap();
    symlink("../nowhere", at.join("a/link")).unwrap();
    let made = Command::new("mkfifo").arg(at.join("pipe")).status();
    assert!(made.unwrap().success());
    let sparse = File::create(at.join("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 20 << 20).unwrap();
    fs::set_permissions(at.join("a/b/two"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(at.join("a/empty"), fs::Permissions::from_mode(0o2700)).unwrap();
    let set = Command::new("setfattr")
        .args(["-n", "user.kept", "-v", "value"])
        .arg(at.join("a/one"))
        .status();
    assert!(set.is_ok_and(|set| set.success()));
    let back = Command::new("find")
        .arg(at)
        .args([
            "-exec",
            "touch",
            "-h",
            "-d",
            "2020-02-02 02:02:02.123456789",
            "{}",
            ";",
        ])
        .status();
    assert!(back.unwrap().success());
}

#[test]
fn a_copy_is_like_its_original_and_a_second_pass_renews_the_changes_alone() {
    let world = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| world.path().join(name));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    tree(&from);
    let first = pass(&from, &to, true);
    assert!(first.changed.is_empty());
    assert_eq!(seen(&from), seen(&to));
    assert!(fs::metadata(to.join("sparse")).unwrap().blocks() < 1000);
    // Files that changed a moment ago are copied again, because they may have changed since without a trace.
    std::thread::sleep(std::time::Duration::from_secs(4));
    pass(&from, &to, true);
    assert_eq!(pass(&from, &to, false).copied, 0);
    // One of the same size and time, a link that was separated, other types, new and deleted entries.
    let touched = from.join("a/b/two");
    let time = fs::metadata(&touched).unwrap().modified().unwrap();
    fs::write(&touched, "33").unwrap();
    File::options()
        .write(true)
        .open(&touched)
        .unwrap()
        .set_modified(time)
        .unwrap();
    fs::remove_file(from.join("a/b/one again")).unwrap();
    fs::write(from.join("a/b/one again"), "on its own").unwrap();
    fs::remove_file(from.join("a/link")).unwrap();
    fs::create_dir_all(from.join("a/link/folder")).unwrap();
    fs::remove_dir(from.join("a/empty")).unwrap();
    symlink("one", from.join("a/empty")).unwrap();
    fs::remove_dir_all(from.join("odd name\n")).unwrap();
    fs::write(from.join("odd name\n"), "a file now").unwrap();
    fs::write(from.join("new"), "new").unwrap();
    fs::remove_file(from.join("pipe")).unwrap();
    let removed = Command::new("setfattr")
        .args(["-x", "user.kept"])
        .arg(from.join("a/one"))
        .status();
    assert!(removed.unwrap().success());
    let last = pass(&from, &to, false);
    assert!(last.changed.is_empty(), "{last:?}");
    assert_eq!(seen(&from), seen(&to));
    // Not the sparse file, and one name of the two.
    assert_eq!(last.copied, 5);
}
