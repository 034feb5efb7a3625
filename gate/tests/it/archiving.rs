//! `--archive` through the program: its memory use, and the data that it leaves out.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{World, have_rclone, names};

/// The memory limit of the gate, in KiB.
const BOUND: u64 = 64 << 10;

/// Runs an archive to its end; returns the gate's peak memory use, in KiB.
fn peak(world: &World) -> u64 {
    let mut gate = world
        .ssh_gate(&world.archive())
        .stdout(Stdio::null())
        .stderr(File::create(world.path("said")).unwrap())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", gate.id());
    let mut peak = 0;
    let ended = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(high) = high {
            let number = high.trim().trim_end_matches(" kB");
            peak = peak.max(number.parse().unwrap());
        }
        if let Some(ended) = gate.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(ended.success(), "{}", world.read("said"));
    assert_eq!(world.archives().len(), 1);
    assert!(peak > 0);
    peak
}

/// `ci/archives` repeats this with a hundred times more files.
#[test]
fn an_archive_of_many_small_files_takes_little_memory() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    for folder in 0..2 {
        let folder = world.path(&format!("root/app/data/{folder}"));
        fs::create_dir(&folder).unwrap();
        for file in 0..1000 {
            fs::write(folder.join(format!("file {file}")), format!("{file}")).unwrap();
        }
    }
    let peak = peak(&world);
    assert!(peak < BOUND, "{peak} KiB");
}

/// `ci/archives` repeats this with a larger file.
#[test]
fn an_archive_of_a_file_with_a_huge_hole_takes_little_memory_and_time() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let file = File::create(world.path("root/app/data/disk image")).unwrap();
    file.set_len(20 << 30).unwrap();
    for at in [0, 7 << 30, (20 << 30) - 3] {
        file.write_all_at(b"end", at).unwrap();
    }
    let peak = peak(&world);
    assert!(peak < BOUND, "{peak} KiB");
    // Neither the archive nor the unpacked file stores the holes.
    let name = world.archives().remove(0);
    let archive = world.path("remote/OdroidBackup/app/archives").join(name);
    assert!(fs::metadata(&archive).unwrap().len() < 1 << 20);
    let listed = Command::new("tar").arg("-tvzf").arg(&archive).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(listed.contains(&format!(" {} ", 20_u64 << 30)), "{listed}");
}

#[test]
fn an_archive_of_a_tree_that_changes_underneath_fails_and_names_the_files() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let quiet = world.path("root/app/data/quiet");
    fs::write(quiet, "nothing happens here").unwrap();
    let mut busy = File::create(world.path("root/app/data/busy")).unwrap();
    // Large enough that reading takes a while.
    let noise: Vec<u8> = (0..1_u32 << 20)
        .flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes())
        .collect();
    for _ in 0..8 {
        busy.write_all(&noise).unwrap();
    }
    let over = AtomicBool::new(false);
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                busy.rewind().unwrap();
                busy.write_all(b"a service that nobody stopped").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let answer = world.request(&world.archive());
        over.store(true, Ordering::Relaxed);
        answer
    });
    let answer = answer.expect(65);
    assert!(answer.err.contains("busy"), "{}", answer.err);
    assert!(!answer.err.contains("quiet"), "{}", answer.err);
    // No partial archive is kept, neither on the remote nor on this host.
    assert_eq!(world.listing("app/archives"), Vec::<String>::new());
    assert_eq!(names(&world.path("spool/app")), Vec::<String>::new());
}
