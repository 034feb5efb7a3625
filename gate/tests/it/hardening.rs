//! The inherited state that the gate drops, and the capabilities of root that it keeps.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use crate::harness::{Answer, World, is_root, wait_until};

const KILL: u64 = 1 << 5;
const SYS_PTRACE: u64 = 1 << 19;

/// A gate in the middle of a stop, started with every resource that a caller could leave open.
struct Busy {
    world: World,
    gate: Child,
}

impl Busy {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With lines of the configuration.
    fn start_with(top: &str) -> Self {
        let world = World::new();
        world.configure(top);
        let here = world.path("").display().to_string();
        world.script(
            "stop",
            &format!("cat /proc/self/status /proc/self/limits > {here}/child\n: > {here}/stopping\nwhile ! test -e {here}/go; do sleep 0.05; done\nrm {here}/up\n"),
        );
        let hostile = "umask 0; cd /usr; ulimit -S -n 64; ulimit -S -f 4; ulimit -S -c unlimited; exec 5</etc/passwd 6<&5 7<&5 <&- 2>&- \"$@\"";
        let mut gate = Command::new("sh");
        gate.args(["-c", hostile, "sh", env!("CARGO_BIN_EXE_backupctl")])
            .arg("--config")
            .arg(world.path("gate.toml"))
            .args(["--stop", "app"])
            .env("RCLONE_CONFIG", "/evil")
            .env("SUDO_USER", "somebody")
            .stdout(Stdio::piped());
        let gate = gate.spawn().unwrap();
        wait_until("the stop runs", || world.exists("stopping"));
        Self { world, gate }
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.gate.id())
    }

    /// A line of `status`, or of `limits`.
    fn line(&self, file: &str, name: &str) -> String {
        field(&fs::read_to_string(self.proc(file)).unwrap(), name)
    }

    #[track_caller]
    fn can_find_and_end_programs_and_nothing_else(&self) {
        let mask = |set| u64::from_str_radix(&self.line("status", set), 16).unwrap();
        for set in ["CapPrm:", "CapEff:"] {
            assert_eq!(mask(set), KILL | SYS_PTRACE, "{set}");
        }
        for set in ["CapInh:", "CapAmb:"] {
            assert_eq!(mask(set), 0, "{set}");
        }
    }

    fn finish(mut self) {
        self.world.write("go", "");
        assert!(self.gate.wait().unwrap().success());
    }
}

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} in {text}"))
        .trim()
        .to_owned()
}

fn soft(limits: &str, name: &str) -> String {
    let line = field(limits, name);
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn nothing_of_a_hostile_start_is_left() {
    let busy = Busy::start();
    assert_eq!(busy.line("status", "Umask:"), "0077");
    let limits = fs::read_to_string(busy.proc("limits")).unwrap();
    assert_eq!(soft(&limits, "Max core file size"), "0");
    assert_eq!(soft(&limits, "Max file size"), "unlimited");
    assert_eq!(soft(&limits, "Max open files"), "4096");
    if is_root() {
        let environment = fs::read(busy.proc("environ")).unwrap();
        assert_eq!(environment, b"SUDO_USER=somebody\0");
        assert_eq!(fs::read_link(busy.proc("cwd")).unwrap().to_str(), Some("/"));
        let open: Vec<String> = fs::read_dir(busy.proc("fd"))
            .unwrap()
            .flatten()
            .map(|entry| fs::read_link(entry.path()).unwrap().display().to_string())
            .collect();
        assert!(!open.iter().any(|file| file.contains("passwd")), "{open:?}");
        for number in [0, 2] {
            let file = fs::read_link(busy.proc(&format!("fd/{number}"))).unwrap();
            assert_eq!(file.to_str(), Some("/dev/null"));
        }
    } else {
        eprintln!("SKIPPED in part: the gate's memory and files are hidden from its user, too");
    }
    busy.finish();
}

#[test]
fn nobody_else_of_the_same_user_can_look_into_the_gate() {
    let busy = Busy::start();
    assert_eq!(fs::metadata(busy.proc("environ")).unwrap().uid(), 0);
    let mut look = Command::new("readlink");
    if is_root() {
        // Root without the one capability that allows it to inspect every process.
        look = Command::new("setpriv");
        look.args(["--bounding-set", "-sys_ptrace", "readlink"]);
    }
    let seen = look.arg(busy.proc("exe")).output().unwrap();
    assert!(!seen.status.success() && seen.stdout.is_empty());
    busy.finish();
}

#[test]
fn a_stop_keeps_the_power_to_find_and_end_programs_and_hands_on_what_root_has() {
    if !is_root() {
        eprintln!("SKIPPED: an ordinary user has no capabilities to keep");
        return;
    }
    let busy = Busy::start();
    busy.can_find_and_end_programs_and_nothing_else();
    // The administrator's command gets the state of this test, and the limits of a boot.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let child = busy.world.read("child");
    for set in ["CapPrm:", "CapEff:", "CapBnd:", "NoNewPrivs:"] {
        assert_eq!(field(&child, set), field(&own, set), "{set}");
    }
    assert_eq!(soft(&child, "Max open files"), "1024");
    busy.finish();
}

#[test]
fn a_stop_that_has_measured_the_data_can_read_it_no_more() {
    if !is_root() {
        eprintln!("SKIPPED: an ordinary user has no capabilities to keep");
        return;
    }
    let busy = Busy::start_with("room_before_stop = true");
    busy.can_find_and_end_programs_and_nothing_else();
    busy.finish();
}

#[test]
fn a_gate_that_could_not_hear_of_its_children_does_not_start() {
    let world = World::new();
    let mut gate = Command::new("env");
    gate.arg("--ignore-signal=CHLD")
        .arg(env!("CARGO_BIN_EXE_backupctl"))
        .arg("--config")
        .arg(world.path("gate.toml"))
        .args(["--stop", "app"]);
    let answer = Answer::of(&gate.output().unwrap()).expect(70);
    assert!(answer.err.contains("SIGCHLD"), "{}", answer.err);
    assert!(world.exists("up"));
}
