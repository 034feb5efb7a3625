//! The capabilities, filters and descriptors of a program in rclone's place, also on systems without Landlock.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use crate::confinement::{Probe, told};
use crate::harness::{Answer, is_root};

const READ_SEARCH: u64 = 1 << 2;

/// A waiting run that the test can inspect.
struct Waiting {
    gate: Child,
    process: PathBuf,
    /// Held open: a gate ends its work when its reader is gone.
    _out: Lines<BufReader<ChildStdout>>,
}

impl Waiting {
    fn start(probe: &Probe, line: &str) -> Self {
        let conf = probe.world.read("rclone.conf");
        probe
            .world
            .write("rclone.conf", &format!("{conf}waiting = yes\n"));
        let mut gate = probe.world.spawn(line);
        let mut out = BufReader::new(gate.stdout.take().unwrap()).lines();
        let pid = out
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("probe\twaiting\t").map(str::to_owned));
        let Some(pid) = pid else {
            panic!("{}", Answer::of(&gate.wait_with_output().unwrap()).err);
        };
        Self {
            gate,
            process: Path::new("/proc").join(pid),
            _out: out,
        }
    }

    fn status(&self, name: &str) -> String {
        let text = fs::read_to_string(self.process.join("status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    }

    fn mask(&self, name: &str) -> u64 {
        u64::from_str_radix(&self.status(name), 16).unwrap()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.gate.kill();
        let _ = self.gate.wait();
    }
}

#[test]
fn capabilities_filters_and_descriptors_are_those_of_the_profile() {
    let verb = "copyto";
    for (source, file) in [(true, 9), (false, 8)] {
        let Some(probe) = Probe::new(verb, "mount", "") else {
            return;
        };
        if source {
            // A file that does not fit into the spool is read from the data itself.
            probe.world.limit("spool_reserve = 1000000000000000\n");
        }
        let line = if source {
            probe.world.sync()
        } else {
            probe.world.archive()
        };
        let run = Waiting::start(&probe, &line);
        let expected = if source && is_root() { READ_SEARCH } else { 0 };
        for set in ["CapPrm:", "CapEff:"] {
            assert_eq!(run.mask(set), expected, "{verb} {set}");
        }
        for set in ["CapInh:", "CapAmb:"] {
            assert_eq!(run.mask(set), 0, "{verb} {set}");
        }
        if is_root() || source {
            // Without its own namespace an ordinary user cannot reduce the set, and gains nothing from it.
            assert_eq!(run.mask("CapBnd:"), expected, "{verb}");
        }
        assert_eq!(run.status("NoNewPrivs:"), "1");
        assert_eq!(run.status("Seccomp:"), "2");
        assert_eq!(run.status("Umask:"), "0077");
        let limits = fs::read_to_string(run.process.join("limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core"))
            .unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"));
        assert_eq!(core.split_whitespace().nth(5), Some("0"));
        let mut open: Vec<i32> = fs::read_dir(run.process.join("fd"))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        open.sort_unstable();
        let mut expected = vec![0, 1, 2, 8];
        expected.extend((file == 9).then_some(9));
        assert_eq!(open, expected, "{verb}");
        // The gate itself at the same time.
        let gate = PathBuf::from(format!("/proc/{}", run.gate.id()));
        let text = fs::read_to_string(gate.join("status")).unwrap();
        if is_root() {
            // CHOWN, DAC_READ_SEARCH, SETPCAP, SYS_ADMIN; the kernel itself for the rest.
            let kept = 1 | READ_SEARCH | 1 << 8 | 1 << 21;
            assert!(text.contains(&format!("CapBnd:\t{kept:016x}\n")), "{text}");
            assert!(text.contains(&format!("CapEff:\t{kept:016x}\n")), "{text}");
        }
        assert!(text.contains("NoNewPrivs:\t1\n"));
    }
}

#[test]
fn without_landlock_a_transfer_is_refused_or_done_with_a_warning() {
    let Some(probe) = Probe::new("copy", "mount", "landlock = \"required\"\n") else {
        return;
    };
    // The probe removes Landlock from its children.
    let without = |line: &str| {
        let gate = probe.world.ssh_gate(line);
        let mut wrapped = std::process::Command::new(probe.world.path("bin/probe"));
        wrapped
            .arg("without-landlock")
            .arg(gate.get_program())
            .args(gate.get_args());
        wrapped
            .env("SSH_ORIGINAL_COMMAND", line)
            .stdin(Stdio::null());
        Answer::of(&wrapped.output().unwrap())
    };
    let answer = without(&probe.world.sync()).expect(69);
    assert!(answer.err.contains("rclone.landlock"), "{}", answer.err);
    probe.world.set("[rclone]\nlandlock = \"preferred\"");
    let answer = without(&probe.world.sync()).expect(0);
    assert_eq!(
        answer.err.matches("no Landlock").count(),
        1,
        "{}",
        answer.err
    );
    assert!(
        probe
            .world
            .read("audit.jsonl")
            .contains("no Landlock, seccomp")
    );
    // The restrictions by the other mechanisms stay in place.
    let outcomes = told(answer.out.lines());
    for name in [
        "trace the gate",
        "mount",
        "connect to a socket of this host",
        "change a file's owner",
    ] {
        assert_eq!(outcomes[name], "EPERM", "{name}");
    }
}
