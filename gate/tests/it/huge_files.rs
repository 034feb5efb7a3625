//! Files of the largest size that Linux allows (8 EiB less one byte), which are holes except for a few bytes: they are
//! archived, verified and restored, or refused with their name. Also archives and manifests with larger sizes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{World, have_rclone};

/// The largest size of a file.
const LARGEST: u64 = u64::MAX >> 1;

/// A folder on a file system that supports files of that size (tmpfs, XFS, Btrfs), if this machine has one.
fn roomy() -> Option<TempDir> {
    let base = fs::canonicalize("/dev/shm").ok()?;
    let folder = tempfile::tempdir_in(base).ok()?;
    let probe = File::create(folder.path().join("probe")).ok()?;
    probe.set_len(LARGEST).ok().map(|()| folder)
}

/// A world with its data root in that folder, with a file of the largest size that has a few bytes near its end.
fn world(folder: &Path) -> World {
    let world = World::new();
    fs::create_dir_all(folder.join("app/data")).unwrap();
    world.set(&format!("data_root = \"{}\"", folder.display()));
    let huge = File::create(folder.join("app/data/huge")).unwrap();
    huge.set_len(LARGEST).unwrap();
    huge.write_all_at(b"needle", LARGEST - 1000).unwrap();
    fs::write(folder.join("app/data/small"), "content").unwrap();
    world
}

fn archive_line(folder: &Path) -> String {
    format!(
        "backupctl --archive app --path {}/app/data --remote onedrive:/OdroidBackup",
        folder.display()
    )
}

#[test]
fn a_file_of_eight_exbibytes_is_archived_and_restored() {
    let Some(folder) = roomy().filter(|_| have_rclone()) else {
        return;
    };
    let world = world(folder.path());
    world.request(&archive_line(folder.path())).expect(0);
    let archive = world.path(&format!(
        "remote/OdroidBackup/app/archives/{}",
        world.archives()[0]
    ));
    // As other programs read it.
    let python = "import sys, tarfile\nt = tarfile.open(sys.argv[1])\nm = t.getmember('data/huge')\nprint(m.size, m.sparse)";
    let read = Command::new("python3")
        .args(["-c", python])
        .arg(&archive)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(said.starts_with("9223372036854775807 [("), "{said}");
    world.on_host(&["--verify", "app"]).expect(0);

    let there = folder.path().join("back");
    let to = there.display().to_string();
    world.on_host(&["--restore", "app", "--to", &to]).expect(0);
    let huge = File::open(there.join("huge")).unwrap();
    assert_eq!(huge.metadata().unwrap().len(), LARGEST);
    assert!(huge.metadata().unwrap().blocks() < 10_000);
    let mut found = [0; 6];
    huge.read_exact_at(&mut found, LARGEST - 1000).unwrap();
    assert_eq!(&found, b"needle");
    assert_eq!(fs::read_to_string(there.join("small")).unwrap(), "content");
}

#[test]
fn a_file_that_the_target_cannot_hold_is_named_with_the_fix() {
    let Some(folder) = roomy().filter(|_| have_rclone()) else {
        return;
    };
    let world = world(folder.path());
    let fits = File::create(world.path("probe")).unwrap();
    if fits.set_len(LARGEST).is_ok() {
        // The folder of tests is on such a file system itself.
        return;
    }
    world.request(&archive_line(folder.path())).expect(0);
    let to = world.path("back").display().to_string();
    let answer = world.on_host(&["--restore", "app", "--to", &to]);
    assert_ne!(answer.code, 0);
    for words in ["data/huge", "9223372036854775807 bytes", "XFS"] {
        assert!(answer.err.contains(words), "{}", answer.err);
    }
    assert!(!Path::new(&to).exists(), "a part of it has the final name");
}

/// A tar header in base 256 or octal digits.
fn header(name: &str, letter: u8, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124] = 0x80;
    block[128..136].copy_from_slice(&size.to_be_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = letter;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    block[154] = 0;
    block
}

/// A PAX header with these records.
fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..).find(|n| n - n.to_string().len() == rest).unwrap();
        writeln!(body, "{length} {key}={value}").unwrap();
    }
    let mut bytes = header("x", b'x', body.len() as u64).to_vec();
    body.resize(body.len().next_multiple_of(512), 0);
    bytes.extend(body);
    bytes
}

fn store(world: &World, tar: &[u8]) -> PathBuf {
    let folder = world.path("remote/OdroidBackup/app/archives");
    fs::create_dir_all(&folder).unwrap();
    let place = folder.join("app-2026-01-02.tar");
    fs::write(&place, tar).unwrap();
    let packed = Command::new("gzip").arg("-f").arg(&place).status();
    assert!(packed.unwrap().success());
    folder.join("app-2026-01-02.tar.gz")
}

#[test]
fn an_archive_with_a_size_beyond_that_is_refused_and_named() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let root = || header("data/", b'5', 0).to_vec();
    let beyond = (LARGEST + 1).to_string();
    let most = u64::MAX.to_string();
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    for size in [LARGEST + 1, u64::MAX] {
        for letter in [b'0', b'3'] {
            let tar = [root(), header("data/huge", letter, size).to_vec()].concat();
            cases.push((format!("{letter} {size}"), tar));
        }
    }
    for size in [&beyond, &most] {
        let plain = [("size", size.as_str())];
        let sparse_1 = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "data/huge"),
            ("GNU.sparse.realsize", size.as_str()),
        ];
        let sparse_0 = [
            ("GNU.sparse.size", size.as_str()),
            ("GNU.sparse.map", "0,0"),
        ];
        for records in [&plain[..], &sparse_1, &sparse_0] {
            let mut tar = [
                root(),
                pax(records),
                header("data/huge", b'0', 512).to_vec(),
            ]
            .concat();
            let mut map = b"0\n".to_vec();
            map.resize(512, 0);
            tar.extend(map);
            cases.push((format!("{records:?}"), tar));
        }
    }
    for (what, mut tar) in cases {
        tar.resize(tar.len() + 1024, 0);
        store(&world, &tar);
        for verb in ["--verify", "--restore"] {
            let answer = world.on_host(&[verb, "app"]);
            assert_eq!(answer.code, 65, "{what}: {}", answer.err);
            let named =
                answer.err.contains("data/huge") && answer.err.contains("more than any file");
            assert!(named, "{what}: {}", answer.err);
        }
    }
}

#[test]
fn a_manifest_with_a_size_beyond_that_is_no_manifest() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.archive()).expect(0);
    let folder = world.path("remote/OdroidBackup/app/archives");
    let name = world.archives()[0].replace(".tar.gz", ".manifest.gz");
    let manifest = folder.join(&name);
    let plain = Command::new("gzip").arg("-dc").arg(&manifest).output();
    let text = String::from_utf8(plain.unwrap().stdout).unwrap();
    let row = text
        .lines()
        .find(|line| line.ends_with("data/file") || line.contains(" data/file "));
    let row = row.unwrap();
    let beyond = (LARGEST + 1).to_string();
    let changed = row.replacen(" 7 ", &format!(" {beyond} "), 1);
    assert_ne!(row, changed);
    let bare = folder.join(name.trim_end_matches(".gz"));
    fs::write(&bare, text.replace(row, &changed)).unwrap();
    let packed = Command::new("gzip").arg("-nf").arg(&bare).status();
    assert!(packed.unwrap().success());
    let answer = world.on_host(&["--verify", "app"]);
    assert_eq!(answer.code, 65, "{}", answer.err);
    assert!(answer.err.contains("manifest"), "{}", answer.err);
}
