//! Extended attributes, ACLs and file capabilities, from `--archive` to the programs that read them. The tests do not
//! use the gate's own reader: it once found no attributes and stored none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archives::adorn;
use crate::harness::{World, have, have_rclone, is_root};
use crate::restore::restored;

/// Output of a program that is run in a directory.
#[track_caller]
fn printed(directory: &Path, program: &str, words: &[&str]) -> String {
    let output = Command::new(program)
        .args(words)
        .current_dir(directory)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All attributes and ACLs below a directory, as printed by getfattr and getfacl.
#[track_caller]
fn adornments(directory: &Path) -> String {
    let words = ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."];
    let attributes = printed(directory, "getfattr", &words);
    let lists = printed(directory, "getfacl", &["-R", "-n", "-p", "."]);
    let mut blocks: Vec<String> = attributes
        .split("\n\n")
        .chain(lists.split("\n\n"))
        .map(str::to_owned)
        .collect();
    // Folders are listed in the order of their file system.
    blocks.sort();
    blocks.join("\n\n")
}

/// A world with attributes in its data; `None` on a file system without attributes.
fn adorned() -> Option<World> {
    let world = World::new();
    let data = world.path("root/app/data");
    for name in ["empty", "short"] {
        fs::write(data.join(name), name).unwrap();
    }
    if !have_rclone() || !adorn(&data) {
        eprintln!("SKIPPED: no rclone, or no attributes or ACLs here");
        return None;
    }
    let seen = adornments(&data);
    for word in [
        "user.plain=0x76616c7565",
        "user:1234:rw-",
        "default:user:4321:rwx",
    ] {
        assert!(seen.contains(word), "{word} is not in {seen}");
    }
    Some(world)
}

fn archive(world: &World) -> PathBuf {
    world.request(&world.archive()).expect(0);
    let name = world.archives().remove(0);
    world.path("remote/OdroidBackup/app/archives").join(name)
}

#[test]
fn other_programs_bring_back_attributes_and_acls_from_an_archive() {
    let Some(world) = adorned() else { return };
    let archive = archive(&world).display().to_string();
    let expected = adornments(&world.path("root/app/data"));
    for (program, words) in [
        (
            "tar",
            &[
                "--acls",
                "--xattrs",
                "--xattrs-include=*",
                "-xpzf",
                &archive,
            ][..],
        ),
        ("bsdtar", &["--acls", "--xattrs", "-xpf", &archive]),
    ] {
        if !have(&format!("/usr/bin/{program}")) {
            continue;
        }
        let target = world.path(program);
        fs::create_dir(&target).unwrap();
        printed(&target, program, words);
        // bsdtar does not undo the escaping of `=` and `%` in the name of an attribute.
        let made = adornments(&target.join("data")).replace("a%3Db%25c", "a\\075b%c");
        assert_eq!(made, expected, "{program}");
        if is_root() {
            let capabilities = printed(&target, "/usr/sbin/getcap", &["-r", "data"]);
            assert_eq!(
                capabilities.trim(),
                "data/short cap_net_raw=ep",
                "{program}"
            );
        }
    }
    // GNU tar lists a file with an ACL with a plus, and the group's permission is not its mask.
    let listed = printed(&world.path(""), "tar", &["--acls", "-tvzf", &archive]);
    let line = listed.lines().find(|line| line.ends_with(" data/file"));
    assert!(line.unwrap().starts_with("-rw-rwxr--+"), "{listed}");
}

#[test]
fn a_restore_brings_back_attributes_and_acls() {
    let Some(world) = adorned() else { return };
    archive(&world);
    let answer = world.on_host(&["--restore", "app"]).expect(0);
    let tree = restored(&world);
    let mut expected = adornments(&world.path("root/app/data"));
    if is_root() {
        // The remote chose this value, so the restore leaves it out and reports that.
        let mut blocks: Vec<&str> = expected.split("\n\n").collect();
        let before = blocks.len();
        blocks.retain(|block| !block.contains("security.capability"));
        assert_eq!(blocks.len(), before - 1);
        expected = blocks.join("\n\n");
        assert!(answer.err.contains("data/short"), "{}", answer.err);
        assert_eq!(printed(&tree, "/usr/sbin/getcap", &["-r", "."]), "");
    }
    assert_eq!(adornments(&tree), expected);
}

/// Finds a file by the manifest alone, unpacks nothing that comes before its gzip member, and prints its content.
const ONE_FILE: &str = r#"
import gzip, io, sys, tarfile, zlib
archive, manifest, wanted = sys.argv[1:]
lines = gzip.open(manifest, "rt").read().splitlines()
assert lines[0].startswith("backupctl-manifest 2 "), lines[0]
entry = next(line for line in lines if line.split(" ")[7:8] == [wanted])
at = int(next(f for f in entry.split(" ") if f.startswith("at="))[3:])
members = [tuple(map(int, l.split(" ")[1:])) for l in lines if l.startswith("member ")]
assert len(members) > 3 and members[0] == (0, 0), members
offset, begin = max(m for m in members if m[1] <= at)
assert offset > 0, "the file lies in the first member, which proves nothing"
packed, content = open(archive, "rb").read()[offset:], b""
while packed:
    member = zlib.decompressobj(31)
    content += member.decompress(packed)
    packed = member.unused_data
tar = tarfile.open(fileobj=io.BytesIO(content[at - begin:]))
first = tar.next()
assert first.name == wanted, first.name
sys.stdout.write(tar.extractfile(first).read().decode())
"#;

#[test]
fn one_file_is_found_by_the_offsets_in_the_manifest() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let noise: Vec<u8> = (0..1_u32 << 19)
        .flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes())
        .collect();
    world.write("root/app/data/folder/last", "found by its offset");
    fs::write(world.path("root/app/data/aaa"), &noise).unwrap();
    let archive = archive(&world).display().to_string();
    let manifest = archive.replace(".tar.gz", ".manifest.gz");
    let words = ["-c", ONE_FILE, &archive, &manifest, "data/folder/last"];
    let content = printed(&world.path(""), "python3", &words);
    assert_eq!(content, "found by its offset");
}

/// Writes the manifest that the first release would have written for an archive of GNU tar.
const VERSION_ONE: &str = r#"
import gzip, hashlib, os, sys, tarfile
archive, manifest = sys.argv[1:]
lines, total, count = [f"backupctl-manifest 1 {os.path.basename(archive)}"], 0, 0
for member in tarfile.open(archive):
    letter, size, digest = ("d", 0, "-") if member.isdir() else ("f", member.size, "")
    if letter == "f":
        digest = hashlib.sha256(tarfile.open(archive).extractfile(member.name).read()).hexdigest()
    lines.append(f"{letter} {member.mode:04o} {member.uid} {member.gid} {int(member.mtime)}.000000000 {size} {digest} - {member.name}")
    total, count = total + size, count + 1
whole = open(archive, "rb").read()
lines.append(f"end {count} {total} {len(whole)} {hashlib.sha256(whole).hexdigest()}")
gzip.open(manifest, "wt").write("\n".join(lines) + "\n")
"#;

#[test]
fn an_archive_of_the_first_release_is_read_and_said_to_hold_no_attributes() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let folder = world.path("remote/OdroidBackup/app/archives");
    fs::create_dir_all(&folder).unwrap();
    let words = [
        "--format=ustar",
        "--mtime=@1700000000",
        "-czf",
        "app-2026-11-22.tar.gz",
        "-C",
        "../../../../root/app",
        "data",
    ];
    printed(&folder, "tar", &words);
    let words = [
        "-c",
        VERSION_ONE,
        "app-2026-11-22.tar.gz",
        "app-2026-11-22.manifest.gz",
    ];
    printed(&folder, "python3", &words);
    let answer = world.on_host(&["--verify", "app"]).expect(0);
    assert!(answer.out.contains("is good"), "{}", answer.out);
    let told = "holds no extended attributes, ACLs or file capabilities";
    assert!(answer.err.contains(told), "{}", answer.err);
    let answer = world.on_host(&["--restore", "app"]).expect(0);
    assert!(answer.err.contains(told), "{}", answer.err);
    assert_eq!(
        fs::read_to_string(restored(&world).join("file")).unwrap(),
        "content"
    );
    // An archive of today causes no warning about missing attributes.
    world.request(&world.archive()).expect(0);
    let answer = world.on_host(&["--verify", "app"]).expect(0);
    assert!(!answer.err.contains("attributes"), "{}", answer.err);
}
