//! A service comes back although something does not answer: another service's systemctl, a lock whose holder was stopped,
//! a keeper that was stopped, a folder without room.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{
    RCLONE, World, can_mount, holds_a_lock, is_root, kill_at_once, pid, wait_long, wait_until,
};

const STOP: &str = "backupctl --stop app --timeout 20";
const START: &str = "backupctl --start app --timeout 8";
const LEASE: &str = "state/leases/app.json";

/// A second service with a lease without a keeper.
fn forgotten_lease(world: &World, keeper: &str) {
    let here = world.path("").display().to_string();
    let text = world.read("gate.toml").replace(
        "[services.lightflow]",
        &format!(
            "[services.other]\nstop = [\"{here}bin/stop\"]\nstart = [\"{here}bin/start\"]\nstatus = [\"{here}bin/status\"]\n[services.lightflow]"
        ),
    );
    world.write("gate.toml", &text);
    let lease = world
        .read(LEASE)
        .replace("\"process\"", &format!("\"{keeper}\""));
    world.write("state/leases/other.json", &lease);
}

/// Runs the gate with these words where `/usr/bin` holds other programs of these names.
fn with_programs(world: &World, names: &[&str], body: &str, words: &[&str]) -> Command {
    let folder = world.path("programs");
    let _ = fs::create_dir(&folder);
    for name in names {
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg("mount -t overlay -o lowerdir=\"$1\":/usr/bin overlay /usr/bin; shift; exec \"$@\"")
        .arg("-")
        .arg(&folder)
        .arg(env!("CARGO_BIN_EXE_backupctl"))
        .arg("--config")
        .arg(world.path("gate.toml"))
        .args(words)
        .stdin(Stdio::null());
    command
}

/// A program that does not answer, as systemctl while systemd does not, and that is not impressed by SIGTERM.
const HANGS: &str = "trap '' TERM; sleep 300";

/// A sync that has the lock of the service, and whose rclone never ends.
fn hanging_sync(world: &World) -> Child {
    let here = world.path("").display().to_string();
    let rclone = world.script(
        "rclone",
        &format!("test $1 = version && exec {RCLONE} \"$@\"\n: > {here}/syncing\nsleep 300\n"),
    );
    let lease = "lease = { seconds = 600, keeper = \"process\" }";
    // A stop may ask the remotes, too.
    world.configure(lease);
    world.request(STOP).expect(0);
    world.configure_with(lease, &rclone);
    let sync = world.spawn(&world.sync());
    wait_until("the sync runs", || world.exists("syncing"));
    sync
}

#[test]
fn a_start_serves_its_own_service_before_the_leases_of_others() {
    if !is_root() || !can_mount() {
        eprintln!("SKIPPED: programs cannot be replaced here");
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.request(STOP).expect(0);
    forgotten_lease(&world, "systemd");
    let names = ["systemctl", "systemd-run"];
    let words = ["--start", "app", "--timeout", "8"];
    let started = with_programs(&world, &names, HANGS, &words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert_eq!(started.status.code(), Some(0), "{said}");
    assert!(world.exists("up") && !world.exists(LEASE));
    assert!(
        String::from_utf8_lossy(&started.stdout).contains("app is up; it was down for"),
        "{said}"
    );
}

#[test]
fn a_start_ends_its_own_lease_although_systemd_does_not_answer() {
    if !is_root() || !can_mount() {
        eprintln!("SKIPPED: programs cannot be replaced here");
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.request(STOP).expect(0);
    let lease = world.read(LEASE).replace("\"process\"", "\"systemd\"");
    world.write(LEASE, &lease);
    let words = ["--start", "app", "--timeout", "8"];
    let started = with_programs(&world, &["systemctl"], HANGS, &words)
        .output()
        .unwrap();
    assert_eq!(started.status.code(), Some(0));
    assert!(world.exists("up") && !world.exists(LEASE));
}

#[test]
fn a_lock_whose_holder_was_stopped_does_not_keep_a_service_down() {
    let world = World::new();
    let mut sync = hanging_sync(&world);
    kill(pid(&sync), Signal::SIGSTOP).unwrap();
    let answer = world.request(START).expect(0);
    assert!(
        answer.err.contains("does not run any more; it is ended"),
        "{}",
        answer.err
    );
    assert!(world.exists("up") && !world.exists(LEASE));
    // It is dead, and so is its rclone.
    assert!(!sync.wait().unwrap().success());
    wait_until("nothing of it is left", || {
        !world
            .processes()
            .iter()
            .any(|line| line.contains("sleep 300"))
    });
}

#[test]
fn a_stop_that_was_stopped_in_the_middle_does_not_keep_a_service_down() {
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    let here = world.path("").display().to_string();
    world.script(
        "stop",
        &format!("rm {here}/up\n: > {here}/stopping\nsleep 300\n"),
    );
    let mut stop = world.spawn(STOP);
    wait_until("the stop runs", || world.exists("stopping"));
    kill(pid(&stop), Signal::SIGSTOP).unwrap();
    world.request(START).expect(0);
    assert!(world.exists("up") && !world.exists(LEASE));
    assert!(!stop.wait().unwrap().success());
}

#[test]
fn a_stop_gives_way_to_a_start_and_the_service_is_up() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script(
        "stop",
        &format!("rm {here}/up\n: > {here}/stopping\nsleep 300\n"),
    );
    let mut stop = world.spawn("backupctl --stop app --timeout 300");
    wait_until("the stop runs", || world.exists("stopping"));
    world
        .request("backupctl --start app --timeout 20")
        .expect(0);
    assert!(world.exists("up") && !world.exists(LEASE));
    assert_eq!(stop.wait().unwrap().code(), Some(69));
}

#[test]
fn a_lock_of_a_start_that_works_is_waited_for() {
    let world = World::new();
    world.request(STOP).expect(0);
    let here = world.path("").display().to_string();
    world.script(
        "start",
        &format!("echo x >> {here}/starts\nwhile ! test -e {here}/go; do sleep 0.05; done\n: > {here}/up\n"),
    );
    let mut first = world.spawn("backupctl --start app --timeout 60");
    wait_until("it starts", || world.exists("starts"));
    let second = world
        .request("backupctl --start app --timeout 3")
        .expect(124);
    assert!(second.err.contains("--start (process "), "{}", second.err);
    world.write("go", "");
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(world.read("starts"), "x\n");
}

#[test]
fn a_keeper_that_was_stopped_does_not_let_its_lease_pass() {
    let world = World::new();
    world.configure("lease = { seconds = 6, keeper = \"process\" }");
    world.request(STOP).expect(0);
    let mut keepers: Vec<Pid> = Vec::new();
    wait_until("there is a keeper, and one beside it", || {
        keepers = world.keepers();
        keepers.sort_by_key(|&pid| !holds_a_lock(pid));
        keepers.len() == 2 && holds_a_lock(keepers[0])
    });
    kill(keepers[0], Signal::SIGSTOP).unwrap();
    wait_long("the service is up and nobody owes it anything", || {
        world.exists("up") && !world.exists(LEASE)
    });
    wait_until("both keepers are gone", || world.keepers().is_empty());
}

/// A file system of a few inodes over a folder of the world.
struct Full<'w>(&'w World, &'static str);

impl<'w> Full<'w> {
    fn new(world: &'w World, folder: &'static str) -> Self {
        let path = world.path(folder);
        let _ = fs::create_dir(&path);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "nr_inodes=2,mode=0700", "tmpfs"])
            .arg(&path)
            .status();
        assert!(mounted.unwrap().success());
        // The folder itself is the first.
        fs::write(path.join("filler"), "").unwrap();
        assert!(fs::write(path.join("more"), "").is_err());
        Self(world, folder)
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        let path = self.0.path(self.1);
        let _ = Command::new("umount").arg(path).status();
    }
}

#[test]
fn a_start_needs_no_room_for_its_lock() {
    if !is_root() || !can_mount() {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    }
    let world = World::new();
    fs::remove_file(world.path("up")).unwrap();
    let _full = Full::new(&world, "lock");
    let answer = world.request(START).expect(0);
    assert!(answer.err.contains("without it"), "{}", answer.err);
    assert!(world.exists("up"));
}

#[test]
fn a_start_needs_no_room_for_its_state() {
    if !is_root() || !can_mount() {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    }
    let world = World::new();
    fs::remove_file(world.path("up")).unwrap();
    let _full = Full::new(&world, "state");
    world.request(START).expect(0);
    assert!(world.exists("up"));
}

#[test]
fn a_boot_brings_services_back_although_systemd_does_not_answer() {
    if !is_root() || !can_mount() {
        eprintln!("SKIPPED: programs cannot be replaced here");
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.request(STOP).expect(0);
    kill_at_once(&world.keepers());
    // `other` sorts after `app`; its lease is kept by a timer that nobody can ask about.
    forgotten_lease(&world, "systemd");
    let mut lease: serde_json::Value = serde_json::from_str(&world.read(LEASE)).unwrap();
    lease["seconds"] = 0.into();
    world.write(LEASE, &lease.to_string());
    let names = ["systemctl", "systemd-run"];
    let mut gate = with_programs(&world, &names, HANGS, &["--recover", "--boot"]);
    gate.stdout(Stdio::null()).stderr(Stdio::null());
    let mut gate = gate.spawn().unwrap();
    wait_until("app is up", || world.exists("up") && !world.exists(LEASE));
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    gate.wait().unwrap();
}
