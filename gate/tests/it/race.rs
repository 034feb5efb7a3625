//! A data directory that flips to a link and back, as fast as its owner can, while it is mirrored and archived.
//!
//! No content behind the link may reach the remote. The gate may refuse, but must not refuse every time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::harness::{World, have_rclone};

/// The number of flips while the gate works.
const FLIPS: u32 = 10_000;

/// The test ends when each verb was done and refused twice. On a busy machine this takes a while; after this time it
/// will not happen any more.
const BOUND: Duration = Duration::from_secs(150);

const SECRET: &str = "never to be seen";

/// Flips until `over` is set. One rename exchanges directory and link, so that there is always one of them.
fn flip(data: &Path, other: &Path, over: &AtomicBool, flips: &AtomicU32) {
    while !over.load(Ordering::Relaxed) {
        renameat2(
            AT_FDCWD,
            data,
            AT_FDCWD,
            other,
            RenameFlags::RENAME_EXCHANGE,
        )
        .unwrap();
        let done = flips.fetch_add(1, Ordering::Relaxed);
        // Bursts, and pauses of different length; a burst may end with either state.
        if done.is_multiple_of(61) {
            std::thread::sleep(Duration::from_micros(u64::from(done % 7) * 400));
        }
    }
}

/// Every file on the remote that contains these bytes, with archives unpacked.
fn leaks(world: &World) -> String {
    let remote = world.path("remote");
    let unpacked = world.path("unpacked");
    let archives = "OdroidBackup/app/archives";
    for name in world.listing("app/archives") {
        let into = unpacked.join(&name);
        fs::create_dir_all(&into).unwrap();
        if name.ends_with(".tar.gz") {
            let tar = Command::new("tar")
                .arg("-xzf")
                .arg(remote.join(archives).join(&name))
                .arg("-C")
                .arg(into)
                .status();
            assert!(tar.unwrap().success());
        }
    }
    let found = Command::new("grep")
        .args(["-rlE", SECRET])
        .args([&remote, &unpacked])
        .output()
        .unwrap();
    String::from_utf8_lossy(&found.stdout).into_owned()
}

#[test]
fn a_directory_that_flips_to_a_link_never_leads_to_another_services_data() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    // The owner may also add new files there; the limits on their number do not matter here.
    world.limit("max_delete = 100000\nmax_delete_percent = 100\nmax_change_percent = 100\n");
    fs::create_dir_all(world.path("root/other/data/folder")).unwrap();
    // Other names, and the same ones.
    for name in ["password", "file", "folder/second"] {
        world.write(&format!("root/other/data/{name}"), SECRET);
    }
    let (data, link) = (world.path("root/app/data"), world.path("root/app/link"));
    symlink(world.path("root/other/data"), &link).unwrap();
    world.write("root/app/data/file", "content");
    let (over, flips) = (AtomicBool::new(false), AtomicU32::new(0));
    let begun = Instant::now();
    let mut done = [0_u32; 2];
    let mut refused = [0_u32; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| flip(&data, &link, &over, &flips));
        let mut round = 0_usize;
        let enough = |done: &[u32; 2], refused: &[u32; 2]| {
            let all = done.iter().chain(refused).all(|&count| count >= 2);
            all && flips.load(Ordering::Relaxed) >= FLIPS
        };
        while begun.elapsed() < BOUND && !enough(&done, &refused) {
            let line = [world.sync(), world.archive()][round % 2].clone();
            let answer = world.request(&line);
            match answer.code {
                0 => done[round % 2] += 1,
                // A link instead of the directory that was opened, or a directory whose modification time changed while
                // it was packed.
                65 | 69 | 76 => refused[round % 2] += 1,
                code => panic!("{code}: {}", answer.err),
            }
            round += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    let flips = flips.into_inner();
    eprintln!("{flips} flips; {done:?} syncs and archives done, {refused:?} refused");
    assert!(flips >= FLIPS);
    assert!(done.iter().all(|&count| count > 0), "{done:?} {refused:?}");
    assert_eq!(leaks(&world), "");
    assert!(!world.exists("remote/OdroidBackup/app/data/password"));
    assert_eq!(world.read("remote/OdroidBackup/app/data/file"), "content");
    // No data came back the other way either.
    assert_eq!(world.read("root/other/data/file"), SECRET);
}
