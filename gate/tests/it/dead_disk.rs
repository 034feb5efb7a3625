//! File systems that do not answer, like dead disks and lost network shares: below a service's data, and as the data
//! itself. Deadlines and leases hold, and a user's own mount inside the data causes only a note.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};

use crate::harness::{World, have_rclone, is_root, pid, wait_long, wait_until};

/// The size of a request's header, and the first request, see fuse(4).
const HEADER: usize = 40;
const INIT: u32 = 26;

/// A FUSE file system with a program that reads every request and answers none. A process that sends a request waits,
/// and cannot be killed until the mount is gone.
pub(crate) struct DeadDisk {
    place: PathBuf,
    stop: Arc<AtomicBool>,
    program: Option<JoinHandle<()>>,
}

impl DeadDisk {
    /// Mounts one for a user; without `others` only this user may access it, and not even root.
    pub(crate) fn mount(place: PathBuf, user: u32, others: bool) -> Self {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .unwrap();
        let allow = if others { ",allow_other" } else { "" };
        let options = format!(
            "fd={},rootmode=40000,user_id={user},group_id={user}{allow}",
            device.as_raw_fd()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("dead"),
            &place,
            Some("fuse.dead"),
            flags,
            Some(options.as_str()),
        )
        .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let program = std::thread::spawn(move || swallow(device, &seen));
        Self {
            place,
            stop,
            program: Some(program),
        }
    }
}

impl Drop for DeadDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.place, MntFlags::MNT_DETACH);
        self.stop.store(true, Ordering::Relaxed);
        // Closing the last descriptor of the device gives every waiting process an error.
        let _ = self.program.take().unwrap().join();
    }
}

/// Agrees on a version of the protocol, and then never answers again.
fn swallow(mut device: File, stop: &AtomicBool) {
    let mut request = vec![0_u8; 1 << 20];
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(
            std::os::fd::AsFd::as_fd(&device),
            PollFlags::POLLIN,
        )];
        if poll(&mut fds, PollTimeout::from(50_u8)) != Ok(1) {
            continue;
        }
        let Ok(length) = device.read(&mut request) else {
            continue;
        };
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        if length > HEADER && number(4) == INIT {
            let mut answer = Vec::new();
            // Length, no error, and the number of the request.
            answer.extend_from_slice(&80_u32.to_ne_bytes());
            answer.extend_from_slice(&0_u32.to_ne_bytes());
            answer.extend_from_slice(&request[8..16]);
            // Version 7.31; read-ahead, flags and limits of none.
            answer.extend_from_slice(&7_u32.to_ne_bytes());
            answer.extend_from_slice(&31_u32.to_ne_bytes());
            answer.resize(80, 0);
            // The largest write; the kernel requires it for an agreement.
            answer[36..40].copy_from_slice(&4096_u32.to_ne_bytes());
            device.write_all(&answer).unwrap();
        }
    }
}

/// False, with a message, if FUSE mounts are impossible.
pub(crate) fn can_mount_fuse() -> bool {
    let can = is_root() && OpenOptions::new().read(true).open("/dev/fuse").is_ok();
    if !can {
        eprintln!("SKIPPED: FUSE cannot be mounted here");
    }
    can
}

/// The data itself is on the disk that died, while the service is down.
fn died(world: &World) -> DeadDisk {
    DeadDisk::mount(world.path("root/app/data"), 0, true)
}

#[test]
fn a_mount_of_a_user_inside_of_the_data_is_left_out_with_a_note() {
    if !can_mount_fuse() || !have_rclone() {
        return;
    }
    let world = World::new();
    std::fs::create_dir(world.path("root/app/data/cloud")).unwrap();
    let _theirs = DeadDisk::mount(world.path("root/app/data/cloud"), 1234, false);
    std::fs::create_dir(world.path("root/app/data/share")).unwrap();
    let _network = DeadDisk::mount(world.path("root/app/data/share"), 0, true);
    let answer = world
        .request(&format!("{} --timeout 60", world.archive()))
        .expect(0);
    assert!(
        answer
            .err
            .contains("something else is mounted there: data/cloud, data/share"),
        "{}",
        answer.err
    );
    let archive = world
        .path("remote/OdroidBackup/app/archives")
        .join(&world.archives()[0]);
    let listed = Command::new("tar")
        .arg("-tzf")
        .arg(archive)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for name in ["data/cloud/", "data/share/", "data/file"] {
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
}

#[test]
fn data_on_a_dead_disk_ends_an_archive_at_its_deadline_and_holds_no_lock() {
    if !can_mount_fuse() || !have_rclone() {
        return;
    }
    let world = World::new();
    let disk = died(&world);
    let answer = world
        .request(&format!("{} --timeout 2", world.archive()))
        .expect(124);
    assert!(answer.err.contains("does not answer"), "{}", answer.err);
    let lock = File::open(world.path("lock/app.lock")).unwrap();
    lock.try_lock().unwrap();
    lock.unlock().unwrap();
    let answer = world
        .request(&format!("{} --timeout 2", world.sync()))
        .expect(124);
    assert!(answer.err.contains("does not answer"), "{}", answer.err);
    drop(disk);
    wait_until("what waited for it is gone", || {
        world.processes().is_empty()
    });
}

#[test]
fn a_start_does_not_wait_for_an_archive_of_a_dead_disk() {
    if !can_mount_fuse() || !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.request("backupctl --stop app").expect(0);
    let disk = died(&world);
    let mut archive = world.spawn(&format!("{} --timeout 600", world.archive()));
    wait_until("the archive reads", || {
        world.processes().iter().any(|line| line.contains("__walk"))
    });
    world
        .request("backupctl --start app --timeout 20")
        .expect(0);
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
    assert_eq!(archive.wait().unwrap().code(), Some(69));
    drop(disk);
}

#[test]
fn a_lease_holds_although_an_archive_hangs_on_a_dead_disk() {
    if !can_mount_fuse() || !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 3, keeper = \"process\" }");
    world.request("backupctl --stop app").expect(0);
    let disk = died(&world);
    let mut archive = world.spawn(&format!("{} --timeout 600", world.archive()));
    wait_until("the archive reads", || {
        world.processes().iter().any(|line| line.contains("__walk"))
    });
    // The gate itself is stopped, too.
    kill(pid(&archive), Signal::SIGSTOP).unwrap();
    wait_long("the service is back", || {
        world.exists("up") && !world.exists("state/leases/app.json")
    });
    let _ = archive.kill();
    archive.wait().unwrap();
    drop(disk);
}

#[test]
fn a_stop_that_measures_a_dead_disk_leaves_the_service_up() {
    if !can_mount_fuse() {
        return;
    }
    let world = World::new();
    world.configure("room_before_stop = true");
    let disk = died(&world);
    world
        .request("backupctl --stop app --timeout 2")
        .expect(124);
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
    drop(disk);
}
