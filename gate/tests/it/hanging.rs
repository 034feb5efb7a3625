//! A service comes back although one of these does not answer: podman, systemctl, a stopped holder of the lock, a stopped
//! keeper. It also comes back when a folder has no room.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{
    Answer, RCLONE, World, can_mount, holds_a_lock, is_root, kill_at_once, pid, wait_long,
    wait_until,
};
use crate::programs::{
    HANGS, can_replace_programs, gate_with_programs, move_by_podmanctl, play_stack, put_programs,
};

const STOP: &str = "backupctl --stop app --timeout 20";
const START: &str = "backupctl --start app --timeout 8";
const LEASE: &str = "state/leases/app.json";

/// A second service with a lease without a keeper.
fn forgotten_lease(world: &World, keeper: &str) {
    world.add_service("other");
    let lease = world
        .read(LEASE)
        .replace("\"process\"", &format!("\"{keeper}\""));
    world.write("state/leases/other.json", &lease);
}

/// A sync that holds the lock of the service, with an rclone that never ends.
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

/// A start while programs of these names never answer.
struct Silence {
    programs: &'static [&'static str],
    /// Changes the host after the stop.
    prepare: fn(&World),
}

const SILENCES: [(&str, Silence); 2] = [
    (
        "the leases of other services are looked after later",
        Silence {
            programs: &["systemctl", "systemd-run"],
            prepare: |world| forgotten_lease(world, "systemd"),
        },
    ),
    (
        "the lease of the service itself is ended",
        Silence {
            programs: &["systemctl"],
            prepare: |world| {
                let lease = world.read(LEASE).replace("\"process\"", "\"systemd\"");
                world.write(LEASE, &lease);
            },
        },
    ),
];

#[test]
fn a_start_by_own_commands_needs_no_answer_of_systemd() {
    if !can_replace_programs() {
        return;
    }
    for (case, silence) in &SILENCES {
        let world = World::new();
        world.configure("lease = { seconds = 600, keeper = \"process\" }");
        world.request(STOP).expect(0);
        (silence.prepare)(&world);
        put_programs(&world, silence.programs, HANGS);
        let started = gate_with_programs(&world)
            .args(["--start", "app", "--timeout", "8"])
            .output();
        let answer = Answer::of(&started.unwrap());
        assert_eq!(answer.code, 0, "{case}: {}", answer.err);
        assert!(world.exists("up") && !world.exists(LEASE), "{case}");
        let words = "app is up; it was down for";
        assert!(answer.out.contains(words), "{case}: {}", answer.out);
    }
}

/// Calls of podman and systemctl, and the verb of the gate during which they hang.
const HANGING_CALLS: [(&str, &str); 12] = [
    ("podman ps", "--stop"),
    ("podman container", "--stop"),
    ("podman stop", "--stop"),
    ("systemctl list-unit-files", "--stop"),
    ("systemctl show", "--stop"),
    ("systemctl stop", "--stop"),
    ("podman ps", "--start"),
    ("podman container", "--start"),
    ("podman start", "--start"),
    ("systemctl list-unit-files", "--start"),
    ("systemctl show", "--start"),
    ("systemctl start", "--start"),
];

#[test]
fn a_stack_comes_back_although_a_call_of_podman_or_systemctl_hangs() {
    if !can_replace_programs() {
        return;
    }
    for cases in HANGING_CALLS.chunks(4) {
        std::thread::scope(|scope| {
            for (call, during) in cases {
                scope.spawn(|| a_call_hangs(call, during));
            }
        });
    }
}

fn a_call_hangs(call: &str, during: &str) {
    let world = World::new();
    play_stack(&world);
    world.configure("lease = { seconds = 8, keeper = \"process\" }");
    move_by_podmanctl(&world);
    let gate = |verb: &str, seconds: &str| {
        let words = [verb, "app", "--timeout", seconds];
        let done = gate_with_programs(&world).args(words).output();
        Answer::of(&done.unwrap())
    };
    if during == "--start" {
        gate("--stop", "20").expect(0);
    }
    world.write("hang", call);
    let answer = gate(during, "6");
    assert_eq!(answer.code, 124, "{call}: {}{}", answer.out, answer.err);
    assert_eq!(world.read("hanging-calls").lines().next(), Some(call));
    wait_long(&format!("all is up after {call} in {during}"), || {
        world.exists("up") && world.read("db") == "running\n" && !is_owed(&world)
    });
    wait_until("nothing is left", || world.processes().is_empty());
}

/// The lease still asks for a start.
fn is_owed(world: &World) -> bool {
    world.read(LEASE).contains("\"back\":null")
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
    // The sync is dead, and so is its rclone.
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
fn a_start_needs_no_room_for_its_lock_or_its_state() {
    if !is_root() || !can_mount() {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    }
    for (folder, said) in [("lock", "without it"), ("state", "")] {
        let world = World::new();
        fs::remove_file(world.path("up")).unwrap();
        let _full = Full::new(&world, folder);
        let answer = world.request(START).expect(0);
        assert!(answer.err.contains(said), "{folder}: {}", answer.err);
        assert!(world.exists("up"), "{folder}");
    }
}

#[test]
fn a_boot_brings_services_back_although_systemd_does_not_answer() {
    if !can_replace_programs() {
        return;
    }
    let world = World::new();
    world.configure("lease = { seconds = 600, keeper = \"process\" }");
    world.request(STOP).expect(0);
    kill_at_once(&world.keepers());
    // `other` sorts after `app`; a timer that cannot be queried keeps its lease.
    forgotten_lease(&world, "systemd");
    let mut lease: serde_json::Value = serde_json::from_str(&world.read(LEASE)).unwrap();
    lease["seconds"] = 0.into();
    world.write(LEASE, &lease.to_string());
    put_programs(&world, &["systemctl", "systemd-run"], HANGS);
    let mut gate = gate_with_programs(&world);
    gate.args(["--recover", "--boot"]);
    gate.stdout(Stdio::null()).stderr(Stdio::null());
    let mut gate = gate.spawn().unwrap();
    wait_until("app is up", || world.exists("up") && !world.exists(LEASE));
    kill(pid(&gate), Signal::SIGTERM).unwrap();
    gate.wait().unwrap();
}
