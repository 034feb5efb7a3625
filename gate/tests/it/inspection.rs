//! The capabilities that remain while the gate verifies an archive, and while SQLite reads a database of the archive.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{RCLONE, World, have_rclone, is_root, wait_until};
use crate::verify::{archived, database};

/// A line of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}

#[test]
fn what_looks_at_a_database_has_no_power_left() {
    let world = World::new();
    let folder = world.path("desk");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let held = database(&folder.join("database"));
    // The process waits for this lock, and can be inspected meanwhile.
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let orders = serde_json::json!({
        "gate": std::process::id(), "folder": folder, "largest": 1 << 20, "confined": true,
    });
    let inspect = |orders: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backupctl-setup"));
        command.args(["__inspect", orders]).env_clear();
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let looking = inspect(&orders.to_string());
    let pid = looking.id();
    wait_until("it is confined", || status(pid, "Seccomp:") == "2");
    let none = "0000000000000000";
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(status(pid, set), none, "{set}");
    }
    if is_root() {
        assert_eq!(status(pid, "CapBnd:"), none);
    }
    assert_eq!(status(pid, "NoNewPrivs:"), "1");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for (limit, value) in [
        ("Max address space", "536870912"),
        ("Max file size", "1048576"),
        ("Max core file size", "0"),
        ("Max open files", "32"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert!(line.contains(&format!(" {value} ")), "{line}");
    }
    held.execute_batch("COMMIT").unwrap();
    let output = looking.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    // It works for its own gate alone.
    let stranger = orders
        .to_string()
        .replace(&std::process::id().to_string(), "1");
    let refused = inspect(&stranger).wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(125), "{refused:?}");
}

#[test]
fn a_verification_keeps_two_capabilities_and_leaves_rclone_none() {
    if !have_rclone() || !is_root() {
        eprintln!("SKIPPED: an ordinary user has no capabilities to keep");
        return;
    }
    let world = archived(|_| {});
    let here = world.path("").display().to_string();
    let program = world.script(
        "hangs",
        &format!("case \"$*\" in\n*cat*tar.gz*) cat /proc/self/status > {here}/child; : > {here}/hanging; exec sleep 300 ;;\nesac\nexec {RCLONE} \"$@\"\n"),
    );
    world.configure_with("", &program);
    let mut gate = world.gate().args(["--verify", "app"]).spawn().unwrap();
    wait_until("rclone runs", || world.exists("hanging"));
    // CHOWN, for the group of rclone's configuration, and SETPCAP, to leave a program none.
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(status(gate.id(), set), "0000000000000101", "{set}");
    }
    assert_eq!(status(gate.id(), "NoNewPrivs:"), "1");
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        let child = world.read("child");
        assert!(
            child.contains(&format!("{set}\t0000000000000000\n")),
            "{child}"
        );
    }
    kill(
        Pid::from_raw(gate.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(gate.wait().unwrap().code(), Some(69));
}
