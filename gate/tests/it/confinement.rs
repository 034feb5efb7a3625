//! The view from inside a program in rclone's place: its allowed and denied actions.
//!
//! The program is `gate/examples/probe`. The test compares its allowed actions with the table in `THREAT-MODEL.md`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::harness::{Answer, World, can_mount};

/// The result of each attempt.
pub(crate) type Outcomes = BTreeMap<String, String>;

pub(crate) struct Probe {
    pub(crate) world: World,
    _open: TcpListener,
    _closed: TcpListener,
    _socket: UnixListener,
}

impl Probe {
    /// `None`, with a message, if the kernel cannot confine every attempt.
    pub(crate) fn new(verb: &str, pin: &str, more: &str) -> Option<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_backupctl")).with_file_name("examples/probe");
        if !program.exists() {
            eprintln!("SKIPPED: examples/probe is not built (cargo build --example probe)");
            return None;
        }
        if pin == "mount" && !can_mount() {
            eprintln!("SKIPPED: this system allows no mount namespaces");
            return None;
        }
        let world = World::new();
        let bin = world.path("bin/probe");
        fs::copy(program, &bin).unwrap();
        fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
        let here = world.path("").display().to_string();
        let here = here.trim_end_matches('/');
        symlink("/etc/passwd", world.path("root/app/data/link")).unwrap();
        fs::create_dir_all(world.path("root/other/data")).unwrap();
        world.write("root/other/data/file", "not for rclone");
        world.write("victim", "content");
        // Like a user's own file, readable by all users: only Landlock denies access.
        fs::set_permissions(world.path("victim"), fs::Permissions::from_mode(0o644)).unwrap();
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (open, closed) = (listen(), listen());
        let socket = UnixListener::bind(world.path("socket")).unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        world.change(|config| {
            let rclone = config["rclone"].as_table_mut().unwrap();
            for key in ["landlock", "local_folders"] {
                rclone.remove(key).unwrap();
            }
        });
        world.set(&format!(
            "[rclone]\nprogram = \"{here}/bin/probe\"\npin = \"{pin}\"\nports = [{}]\n{more}",
            port(&open)
        ));
        world.write(
            "rclone.conf",
            &format!(
                "[onedrive]\ntype = alias\nremote = {here}/remote\n[probe]\ntype = alias\nremote = /\non = {verb}\nhere = {here}\nother = {here}/root/other/data\ngate = {here}/gate.toml\nconfigured = {here}/rclone.conf\nstate = {here}/state\nvictim = {here}/victim\nopen = {}\nclosed = {}\nsocket = {here}/socket\n",
                port(&open),
                port(&closed)
            ),
        );
        Some(Self {
            world,
            _open: open,
            _closed: closed,
            _socket: socket,
        })
    }

    fn outcomes(&self, line: &str) -> Option<Outcomes> {
        let answer = self.world.request(line);
        let audit = self.world.read("audit.jsonl");
        if !["4", "5", "6", "7", "8", "9", "10"]
            .iter()
            .any(|version| audit.contains(&format!("Landlock version {version},")))
        {
            eprintln!("SKIPPED: this kernel has no Landlock, or one before version 4");
            return None;
        }
        let outcomes = told(answer.out.lines());
        assert!(outcomes.len() > 80, "{}\n{}", answer.out, answer.err);
        // None of the attempts changed anything.
        assert_eq!(self.world.read("victim"), "content");
        assert_eq!(self.world.read("root/other/data/file"), "not for rclone");
        assert_eq!(self.world.read("root/app/data/file"), "content");
        assert!(!self.world.exists("probe-was-here") && !self.world.exists("moved"));
        Some(outcomes)
    }
}

pub(crate) fn told<'a>(lines: impl Iterator<Item = &'a str>) -> Outcomes {
    lines
        .filter_map(|line| line.strip_prefix("probe\t")?.split_once('\t'))
        .map(|(name, outcome)| (name.to_owned(), outcome.to_owned()))
        .collect()
}

/// The allowed actions in the table of the threat model, from this column.
fn table(column: &str) -> Vec<String> {
    let text = include_str!("../../THREAT-MODEL.md");
    let mut rows = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let head = rows.next().unwrap();
    let column = head.iter().position(|name| *name == column).unwrap();
    let mut allowed: Vec<String> = rows
        .filter(|row| row[column] == "yes")
        .map(|row| row[1].to_owned())
        .collect();
    allowed.sort();
    allowed
}

fn allowed(outcomes: &Outcomes) -> Vec<String> {
    outcomes
        .iter()
        .filter(|(_, outcome)| *outcome == "ok")
        .map(|(name, _)| name.clone())
        .collect()
}

/// Each action was denied by the intended mechanism, not because a file was missing.
fn denied_on_purpose(outcomes: &Outcomes) {
    for (name, outcome) in outcomes {
        let fine = match name.as_str() {
            // The copies of a sync hold no link.
            "follow a link in the source" => ["ENOENT", "EACCES"].contains(&outcome.as_str()),
            "write to the source"
            | "make a file in the source"
            | "write to the file to be sent" => ["EROFS", "EACCES"].contains(&outcome.as_str()),
            "change a file's mode" => outcome == "nothing happens",
            // Some machines have no /dev/mem.
            "read /dev/mem" => ["ENOENT", "EACCES"].contains(&outcome.as_str()),
            "call by other numbers" => outcome == "ENOSYS",
            // The target is not the folder that the program may write to.
            "move its configuration away" => ["EXDEV", "EACCES"].contains(&outcome.as_str()),
            _ => ["ok", "EPERM", "EACCES"].contains(&outcome.as_str()),
        };
        assert!(fine, "{name}: {outcome}");
    }
}

#[test]
fn a_sync_can_do_what_the_table_says_and_nothing_else() {
    let Some(probe) = Probe::new("copy", "mount", "") else {
        return;
    };
    let Some(outcomes) = probe.outcomes(&probe.world.sync()) else {
        return;
    };
    denied_on_purpose(&outcomes);
    assert_eq!(allowed(&outcomes), table("sync"));
}

/// Older kernels support fewer Landlock rules: 1 (5.13), 3 (6.2), 5 (6.10). The other rules have to hold without the
/// missing ones.
#[test]
fn a_kernel_with_less_of_landlock_opens_no_other_door() {
    for version in [1, 3, 5] {
        let Some(probe) = Probe::new("copy", "mount", "") else {
            return;
        };
        let line = probe.world.sync();
        let gate = probe.world.ssh_gate(&line);
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/kernel_with_landlock.py"
        );
        let output = std::process::Command::new("python3")
            .arg(script)
            .arg(version.to_string())
            .arg(gate.get_program())
            .args(gate.get_args())
            .env("SSH_ORIGINAL_COMMAND", &line)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let answer = Answer::of(&output);
        let audit = probe.world.read("audit.jsonl");
        if !audit.contains("Landlock version") {
            eprintln!("SKIPPED: this kernel has no Landlock");
            return;
        }
        assert!(
            audit.contains(&format!("Landlock version {version},")),
            "{audit} {}",
            answer.err
        );
        let mut outcomes = told(answer.out.lines());
        assert!(outcomes.len() > 80, "{}\n{}", answer.out, answer.err);
        // Ports came with version 4; older kernels do not enforce the list of ports, and `--doctor` reports that.
        if version < 4 {
            for name in ["connect to another port", "offer a port"] {
                outcomes.remove(name);
            }
        }
        denied_on_purpose(&outcomes);
        let mut expected = table("sync");
        expected.retain(|name| outcomes.contains_key(name));
        assert_eq!(allowed(&outcomes), expected, "Landlock {version}");
    }
}

/// A file that does not fit into the spool is read from the data itself.
#[test]
fn a_source_is_no_door_either() {
    for pin in ["mount", "descriptor"] {
        let Some(probe) = Probe::new("copyto", pin, "") else {
            return;
        };
        probe.world.limit("spool_reserve = 1000000000000000\n");
        let Some(outcomes) = probe.outcomes(&probe.world.sync()) else {
            return;
        };
        denied_on_purpose(&outcomes);
        assert_eq!(allowed(&outcomes), table("upload"), "{pin}");
    }
}

#[test]
fn an_upload_can_read_the_spool_and_not_a_service() {
    let Some(probe) = Probe::new("copyto", "mount", "") else {
        return;
    };
    let Some(outcomes) = probe.outcomes(&probe.world.archive()) else {
        return;
    };
    denied_on_purpose(&outcomes);
    assert_eq!(allowed(&outcomes), table("upload"));
}

#[test]
fn a_folder_that_remotes_lead_to_can_be_written_to() {
    let Some(probe) = Probe::new("copy", "mount", "local_folders = []\n") else {
        return;
    };
    let remote = probe.world.path("remote").display().to_string();
    let folders = |folders: &str| {
        let lines = format!("[rclone]\nlocal_folders = [{folders}]");
        probe.world.set(&lines);
    };
    folders(&format!("\"{remote}/missing\""));
    let answer = probe.world.request(&probe.world.sync()).expect(69);
    assert!(answer.err.contains("local_folders"), "{}", answer.err);
    folders(&format!("\"{remote}\""));
    let here = probe.world.path("").display().to_string();
    let conf = probe.world.read("rclone.conf");
    let conf = conf.replace(
        &format!("other = {here}root/other/data"),
        &format!("other = {remote}"),
    );
    probe.world.write("rclone.conf", &conf);
    probe.world.write("remote/file", "a copy");
    let Some(outcomes) = probe.outcomes(&probe.world.sync()) else {
        return;
    };
    denied_on_purpose(&outcomes);
    let mut expected = table("sync");
    for name in ["list", "read", "write to", "make a file in"] {
        expected.push(format!("{name} another service"));
    }
    // Copies keep the times of their sources.
    expected.push("change a file's times".into());
    expected.sort();
    assert_eq!(allowed(&outcomes), expected);
}

#[test]
fn a_helper_can_be_run_when_nobody_else_could_have_replaced_it() {
    let helpers = "helpers = [\"/bin/sh\"]\n";
    let Some(probe) = Probe::new("copy", "mount", helpers) else {
        return;
    };
    let Some(outcomes) = probe.outcomes(&probe.world.sync()) else {
        return;
    };
    denied_on_purpose(&outcomes);
    let mut expected = table("sync");
    expected.push("run a shell".into());
    expected.sort();
    assert_eq!(allowed(&outcomes), expected);
    let helper = probe.world.script("helper", "exit 0\n");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o777)).unwrap();
    let lines = format!("[rclone]\nhelpers = [\"{helper}\"]");
    probe.world.set(&lines);
    let answer = probe.world.request(&probe.world.sync()).expect(78);
    assert!(answer.err.contains("bin/helper"), "{}", answer.err);
}
