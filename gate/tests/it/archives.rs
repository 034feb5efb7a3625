//! Compatibility of archives: GNU tar, bsdtar and Python bring back the same tree, and the gate reads archives of GNU
//! tar.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use archive::check::{Comparison, check};
use archive::extract::{Options, extract};
use archive::pack::pack;
use base::dirfd::PinnedDir;
use base::names::PlainPath;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::harness::{have, is_root};

const NAME: &str = "app-2026-11-22.tar.gz";

fn folder() -> tempfile::TempDir {
    let base = fs::canonicalize(std::env::temp_dir()).unwrap();
    tempfile::Builder::new()
        .prefix("archives")
        .tempdir_in(base)
        .unwrap()
}

/// Creates one of every file type that a tar archive can hold, and of the difficult cases.
pub(crate) fn plant(root: &Path) {
    let odd = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    let long = "l".repeat(240);
    let deep = format!("{}/{}/{}", "d".repeat(90), "e".repeat(90), "f".repeat(90));
    fs::create_dir_all(root.join(&deep)).unwrap();
    fs::write(root.join(&deep).join(&long), "deep").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("file"), vec![b'x'; 100_000]).unwrap();
    fs::write(
        odd("na\u{ef}ve \u{2713} \u{1f980}".as_bytes()),
        "short UTF-8",
    )
    .unwrap();
    fs::write(odd("\u{2713}".repeat(80).as_bytes()), "long UTF-8").unwrap();
    fs::write(odd(b"latin-1 \xe9"), "short bytes").unwrap();
    fs::write(odd(&[0xe9; 200]), "long bytes").unwrap();
    fs::write(odd(b"line\nfeed\t\x1b[31m \\ * ? = %"), "odd").unwrap();
    fs::write(odd(b"-rf"), "like an option").unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    symlink("../file", root.join("folder/link")).unwrap();
    symlink("/nowhere/\u{2713}", root.join("dangling")).unwrap();
    symlink("t".repeat(400), root.join("long link")).unwrap();
    symlink(OsStr::from_bytes(&[0xe9; 150]), root.join("odd link")).unwrap();
    fs::hard_link(root.join("file"), root.join("folder/same")).unwrap();
    fs::hard_link(root.join(&deep).join(&long), root.join("short")).unwrap();
    nix::unistd::mkfifo(&root.join("pipe"), Mode::S_IRWXU).unwrap();
    for (name, at, length) in [
        ("holes", 5 << 20, 64 << 20),
        ("hole at its begin", (1 << 20) - 3, 1 << 20),
        ("only a hole", 0, 32 << 20),
    ] {
        let file = File::create(root.join(name)).unwrap();
        if at > 0 {
            file.write_all_at(b"abc", at).unwrap();
        }
        file.set_len(length).unwrap();
    }
    let many = File::create(root.join("many holes")).unwrap();
    for number in 0..200 {
        many.write_all_at(b"data", number * 65_536).unwrap();
    }
    if is_root() {
        // Owners; ustar cannot store some of these numbers.
        chown(root.join("file"), Some(1234), Some(5678)).unwrap();
        chown(root.join("folder"), Some(3_000_000_000), Some(2_097_152)).unwrap();
        std::os::unix::fs::lchown(root.join("dangling"), Some(7), Some(8)).unwrap();
        chown(root.join("pipe"), Some(2_097_151), Some(1)).unwrap();
    }
    let mode = |name: &str, mode| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("file", 0o4751);
    mode("folder", 0o3770);
    mode("empty", 0o400);
    mode("pipe", 0o604);
    let time = |name: &str, seconds, nanoseconds| {
        let time = TimeSpec::new(seconds, nanoseconds);
        let flag = UtimensatFlags::NoFollowSymlink;
        utimensat(nix::fcntl::AT_FDCWD, &root.join(name), &time, &time, flag).unwrap();
    };
    time("file", 1_700_000_000, 123_456_789);
    time("empty", 0, 0);
    time("short", -86_400, 500_000_000);
    time("holes", -1, 0);
    time("dangling", 1_600_000_000, 0);
    time("pipe", 9_000_000_000, 0);
    time("folder", 1_500_000_000, 1);
}

/// Sets attributes and ACLs with the usual programs; false if the file system supports none.
pub(crate) fn adorn(root: &Path) -> bool {
    let run = |program: &str, words: &[&str], file: &str| {
        let done = Command::new(program)
            .args(words)
            .arg(root.join(file))
            .output();
        done.is_ok_and(|output| output.status.success())
    };
    let file = "empty";
    run("setfattr", &["-n", "user.plain", "-v", "value"], file)
        && run("setfattr", &["-n", "user.a=b%c", "-v", "0x00ff0a3d"], file)
        && run("setfattr", &["-n", "user.on a folder", "-v", ""], "folder")
        && run("setfacl", &["-m", "u:1234:rw,u:0:r,g:77:rx"], "file")
        && run("setfacl", &["-d", "-m", "u:4321:rwx"], "folder")
        && (!is_root() || run("setcap", &["cap_net_raw=ep"], "short"))
        && (!is_root() || run("setfattr", &["-n", "trusted.x", "-v", "y"], file))
}

/// The properties of an entry that must come back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Seconds and nanoseconds.
    pub(crate) modified: (i64, i64),
    /// The first path, in order, that leads to the same file.
    pub(crate) same: PathBuf,
    pub(crate) content: u64,
    pub(crate) length: u64,
    /// True if the file takes less room than its length.
    pub(crate) sparse: bool,
    pub(crate) attributes: Attributes,
}

/// Names, and values in hexadecimal digits, as getfattr prints them.
type Attributes = Vec<(String, String)>;

/// Reads all attributes below a directory, including ACLs, with getfattr(1).
fn attributes(root: &Path) -> BTreeMap<PathBuf, Attributes> {
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, more)) = rest.split_first() {
            rest = more;
            if first == b'\\' {
                let digits = std::str::from_utf8(&more[..3]).unwrap();
                bytes.push(u8::from_str_radix(digits, 8).unwrap());
                rest = &more[3..];
            } else {
                bytes.push(first);
            }
        }
        PathBuf::from(OsStr::from_bytes(&bytes))
    };
    let output = Command::new("getfattr")
        .args(["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."])
        .current_dir(root)
        .output()
        .unwrap();
    let mut found = BTreeMap::new();
    // Names may be any bytes. They are escaped, except for bytes above ASCII, which no attribute name in this test has.
    for block in String::from_utf8_lossy(&output.stdout).split("\n\n") {
        let mut lines = block.lines();
        let Some(path) = lines.next().and_then(|line| line.strip_prefix("# file: ")) else {
            continue;
        };
        let mut all: Attributes = lines
            .map(|line| line.split_once('=').unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        all.sort();
        let path = plain(path);
        found.insert(path.strip_prefix(".").unwrap_or(&path).to_owned(), all);
    }
    found
}

pub(crate) fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut inodes = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let mut attributes = attributes(root);
    let mut left = vec![PathBuf::new()];
    let mut paths = Vec::new();
    while let Some(below) = left.pop() {
        let path = root.join(&below);
        if path.symlink_metadata().unwrap().is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| below.join(entry.unwrap().file_name())),
            );
        }
        paths.push(below);
    }
    paths.sort();
    for below in paths {
        let path = if below.as_os_str().is_empty() {
            root.to_owned()
        } else {
            root.join(&below)
        };
        let meta = path.symlink_metadata().unwrap();
        let bytes = if meta.is_symlink() {
            fs::read_link(&path)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec()
        } else if meta.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let mut content = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&bytes, &mut content);
        let attributes = attributes.remove(&below).unwrap_or_default();
        seen.insert(
            below.clone(),
            Seen {
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                modified: (meta.mtime(), meta.mtime_nsec()),
                same: inodes.entry(meta.ino()).or_insert(below).clone(),
                content: std::hash::Hasher::finish(&content),
                length: if meta.is_dir() { 0 } else { meta.len() },
                sparse: meta.is_file() && meta.blocks() * 512 + 65_536 < meta.len(),
                attributes,
            },
        );
    }
    seen
}

/// Packs a directory next to it.
fn packed(source: &Path) -> PathBuf {
    let path = source.with_file_name(NAME);
    let manifest = source.with_file_name("manifest");
    let archive = File::create_new(&path).unwrap();
    let pinned = PinnedDir::open(&PlainPath::parse(source.to_str().unwrap()).unwrap()).unwrap();
    let notes = File::create_new(&manifest).unwrap();
    let packed = pack(&pinned, NAME, &archive, &notes, &mut |_| Ok(())).unwrap();
    assert_eq!(packed.notes, archive::pack::Notes::default());
    let comparison = Comparison::new(File::open(manifest).unwrap(), NAME).unwrap();
    let archive = File::open(&path).unwrap();
    let report = check(archive, Some(comparison), &mut (), &mut |_| Ok(())).unwrap();
    report.differences.unwrap().insist().unwrap();
    path
}

#[track_caller]
fn fine(output: &Output) {
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Unpacks the tree with another program, and reports the differences. `forget` removes the properties that this
/// program cannot bring back.
#[track_caller]
fn brought_back_by(program: &str, words: &[&str], forget: fn(&Path, &mut Seen)) {
    if !have(program) {
        return;
    }
    let place = folder();
    let source = place.path().join("source");
    fs::create_dir(&source).unwrap();
    plant(&source);
    if !adorn(&source) {
        eprintln!("SKIPPED: no attributes or ACLs here; the rest is tried without");
    }
    let archive = packed(&source);
    let mut expected = look(&source);
    for locale in ["C.UTF-8", "C"] {
        let target = place.path().join(locale);
        fs::create_dir(&target).unwrap();
        let output = Command::new(program)
            .args(words)
            .arg(&archive)
            .current_dir(&target)
            .env("LC_ALL", locale)
            .output()
            .unwrap();
        // In the C locale bsdtar warns about long UTF-8 names, and creates them correctly anyway.
        let words = String::from_utf8_lossy(&output.stderr);
        let complaint =
            |line: &str| line.contains("converted from UTF-8") || line.contains("exit delayed");
        if locale != "C" || words.is_empty() || !words.lines().all(complaint) {
            fine(&output);
        }
        let mut made = look(&target.join("data"));
        for seen in expected.iter_mut().chain(&mut made) {
            if !is_root() {
                // A user without root rights cannot change owners, and so gets no setuid either.
                seen.1.mode &= !0o6000;
            }
            forget(seen.0, seen.1);
        }
        assert_eq!(
            made.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>()
        );
        for (path, expected) in &expected {
            assert_eq!(
                &made[path],
                expected,
                "{} by {program} in {locale}",
                path.display()
            );
        }
    }
}

#[test]
fn gnu_tar_brings_back_the_whole_tree() {
    let words = [
        "--acls",
        "--xattrs",
        "--xattrs-include=*",
        "--numeric-owner",
        // GNU tar warns about implausible old and future times, and about the unknown key hdrcharset.
        "--warning=no-timestamp",
        "--warning=no-unknown-keyword",
        "-xpzf",
    ];
    brought_back_by("/usr/bin/tar", &words, |_, _| {});
}

#[test]
fn bsdtar_brings_back_the_whole_tree() {
    let words = ["--acls", "--xattrs", "--numeric-owner", "-xpf"];
    brought_back_by("/usr/bin/bsdtar", &words, |_, seen| {
        // bsdtar does not undo the escaping of `=` and `%` in the names of attributes.
        for (name, _) in &mut seen.attributes {
            *name = name.replace("a%3Db%25c", "a\\075b%c");
        }
        // The program adds the fraction of a time before 1970 instead of subtracting it.
        if seen.modified.0 < 0 && seen.modified.1 != 0 {
            seen.modified.0 = -1;
        }
    });
}

#[test]
fn python_brings_back_all_that_it_knows_of() {
    let script = "import sys, tarfile\ntarfile.TarFile.extraction_filter = staticmethod(lambda member, path: member)\nwith tarfile.open(sys.argv[1]) as archive:\n    archive.extractall('.', numeric_owner=True)\n";
    brought_back_by("/usr/bin/python3", &["-c", script], |_, seen| {
        // Python supports neither attributes nor ACLs, and takes an ACL's mask for the group's mode. Its times are
        // floating-point numbers, and it does not set the times of links.
        seen.attributes.clear();
        seen.modified.1 = 0;
        if seen.mode & 0o170_000 == 0o120_000 {
            seen.modified.0 = 0;
        }
    });
}

#[test]
fn the_gate_brings_back_the_whole_tree() {
    let place = folder();
    let source = place.path().join("source");
    fs::create_dir(&source).unwrap();
    plant(&source);
    if !adorn(&source) {
        eprintln!("SKIPPED: no attributes or ACLs here; the rest is tried without");
    }
    let archive = File::open(packed(&source)).unwrap();
    let manifest = File::open(place.path().join("manifest")).unwrap();
    let target = place.path().join("target");
    fs::create_dir(&target).unwrap();
    let made = extract(
        archive,
        Some(Comparison::new(manifest, NAME).unwrap()),
        File::open(&target).unwrap().into(),
        Options {
            owners: is_root(),
            powers: true,
            reserve: 0,
        },
        &mut |_| Ok(()),
    )
    .unwrap();
    made.report.differences.unwrap().insist().unwrap();
    assert!(made.skipped.is_empty() && made.attributes.is_empty());
    let mut expected = look(&source);
    if !is_root() {
        expected.values_mut().for_each(|seen| seen.mode &= !0o6000);
    }
    let made = look(&target);
    for (path, expected) in &expected {
        assert_eq!(&made[path], expected, "{}", path.display());
    }
    assert_eq!(made.len(), expected.len());
}

#[test]
fn an_archive_of_the_first_version_is_read() {
    // GNU's headers and long names.
    let place = folder();
    let data = place.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("l".repeat(240)), "long").unwrap();
    symlink("t".repeat(150), data.join("link")).unwrap();
    let archive = Command::new("tar")
        .args(["--format=gnu", "-czf", "-", "-C"])
        .arg(place.path())
        .arg("data")
        .output()
        .unwrap();
    fine(&archive);
    let target = place.path().join("target");
    fs::create_dir(&target).unwrap();
    let none: Option<Comparison<'_>> = None;
    extract(
        archive.stdout.as_slice(),
        none,
        File::open(&target).unwrap().into(),
        Options {
            owners: is_root(),
            powers: true,
            reserve: 0,
        },
        &mut |_| Ok(()),
    )
    .unwrap();
    let mut expected = look(&data);
    let mut made = look(&target);
    for seen in expected.values_mut().chain(made.values_mut()) {
        // These headers hold only whole seconds.
        seen.modified.1 = 0;
    }
    assert_eq!(made, expected);
}
