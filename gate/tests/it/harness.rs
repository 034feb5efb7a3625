//! A host in a temporary folder: configuration, data, a service made of files and scripts, a remote.
//!
//! Invariant: every test has its own world, and changes nothing outside this world.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub(crate) const RCLONE: &str = "/usr/bin/rclone";

/// rclone's final message when it had no work; a program in its place must print it too.
pub(crate) const STATS: &str = r#"{"level":"warning","msg":"","stats":{"checks":2}}"#;

pub(crate) struct World {
    root: TempDir,
}

pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Insists on the exit code, and shows everything when it is another one.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.out, self.err
        );
        self
    }
}

/// Puts all of `from` into `into`, table by table.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

impl World {
    /// A host with one service, `app`, that is up and has a file.
    pub(crate) fn new() -> Self {
        // The system's folder may be reached through a link, which the gate does not follow.
        let base = fs::canonicalize(std::env::temp_dir()).unwrap();
        let world = Self {
            root: tempfile::Builder::new()
                .prefix("gate")
                .tempdir_in(base)
                .unwrap(),
        };
        for folder in [
            "root/app/data/folder",
            "root/lightflow/data",
            "extra/docs",
            "remote",
            "bin",
        ] {
            fs::create_dir_all(world.path(folder)).unwrap();
        }
        world.write("root/app/data/file", "content");
        world.write("root/app/data/folder/second", "more content");
        world.write("up", "");
        world.write(
            "rclone.conf",
            &format!(
                "[onedrive]\ntype = alias\nremote = {}\n",
                world.path("remote").display()
            ),
        );
        let here = world.path("").display().to_string();
        world.script("stop", &format!("echo stopping\nrm -f {here}/up\n"));
        world.script("start", &format!("echo starting\n: > {here}/up\n"));
        world.script("status", &format!("test -e {here}/up || exit 3\n"));
        world.configure("");
        world
    }

    /// Writes the configuration, with lines of the test's own at its top level.
    pub(crate) fn configure(&self, top: &str) {
        self.configure_with(top, RCLONE);
    }

    pub(crate) fn configure_with(&self, top: &str, rclone: &str) {
        let here = self.path("").display().to_string();
        let here = here.trim_end_matches('/');
        let pin = if can_mount() { "mount" } else { "descriptor" };
        // A script in rclone's place needs more permissions than rclone.
        let landlock = if rclone == RCLONE { "preferred" } else { "off" };
        self.write(
            "gate.toml",
            &format!(
                r#"data_root = "{here}/root"
state_dir = "{here}/state"
lock_dir = "{here}/lock"
spool_dir = "{here}/spool"
audit_log = "{here}/audit.jsonl"
{top}
[rclone]
program = "{rclone}"
config = "{here}/rclone.conf"
pin = "{pin}"
landlock = "{landlock}"
local_folders = ["{here}/remote"]
[limits]
max_delete = 2
start = {{ default = 5, max = 1800 }}
[services.app]
stop = ["{here}/bin/stop"]
start = ["{here}/bin/start"]
status = ["{here}/bin/status"]
[services.lightflow]
[extra.docs]
path = "{here}/extra/docs"
"#
            ),
        );
    }

    /// Changes the configuration.
    pub(crate) fn change(&self, change: impl FnOnce(&mut toml::Table)) {
        let mut config = self.read("gate.toml").parse().unwrap();
        change(&mut config);
        self.write("gate.toml", &config.to_string());
    }

    /// Sets keys of the configuration: those of this TOML take the place of the same keys, and all others stay.
    pub(crate) fn set(&self, lines: &str) {
        self.change(|config| merge(config, lines.parse().unwrap()));
    }

    /// Leaves the control of `app` to podmanctl.
    pub(crate) fn without_commands(&self) {
        self.change(|config| {
            let app = config["services"]["app"].as_table_mut().unwrap();
            for verb in ["stop", "start", "status"] {
                app.remove(verb).unwrap();
            }
        });
    }

    /// Adds a service that is controlled like `app`.
    pub(crate) fn add_service(&self, name: &str) {
        self.change(|config| {
            let services = config["services"].as_table_mut().unwrap();
            let like = services["app"].clone();
            services.insert(name.to_owned(), like);
        });
    }

    /// Adds lines to the configuration of `app`.
    pub(crate) fn configure_app(&self, lines: &str) {
        self.set(&format!("[services.app]\n{lines}"));
    }

    /// Makes the remote a real one, at a port of this host. A failed request is tried once, and the gate does not wait
    /// for the remote while the service is down.
    pub(crate) fn remote_at(&self, port: u16, section: &str) {
        self.write("rclone.conf", &format!("[onedrive]\n{section}"));
        self.set(&format!(
            "[rclone]\nports = [{port}]\nretries = 1\nlow_level_retries = 2\nwait_while_down = 1"
        ));
    }

    /// Replaces the limits of a sync with other lines.
    pub(crate) fn limit(&self, lines: &str) {
        self.change(|config| {
            let limits = config["limits"].as_table_mut().unwrap();
            limits.remove("max_delete").unwrap();
            merge(limits, lines.parse().unwrap());
        });
    }

    /// The gate with these words on the host's command line.
    pub(crate) fn on_host(&self, words: &[&str]) -> Answer {
        Answer::of(&self.gate().args(words).output().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        if name == "rclone.conf" {
            // The token is kept there, so the gate insists.
            self.set_mode(name, 0o600);
        }
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// A shell script in `bin/`.
    pub(crate) fn script(&self, name: &str, body: &str) -> String {
        let path = self.path("bin").join(name);
        // Written elsewhere and renamed: another test's fork may still hold the file open for writing.
        let fresh = self.path("fresh");
        fs::write(&fresh, format!("#!/bin/sh\n{body}")).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&fresh, &path).unwrap();
        path.display().to_string()
    }

    /// The gate, on the host's command line.
    pub(crate) fn gate(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backupctl"));
        command
            .arg("--config")
            .arg(self.path("gate.toml"))
            .stdin(Stdio::null());
        command
    }

    /// The gate, as sshd would run it for this line.
    pub(crate) fn ssh_gate(&self, line: &str) -> Command {
        let mut command = self.gate();
        command.arg("--ssh-gate").env("SSH_ORIGINAL_COMMAND", line);
        command
    }

    pub(crate) fn request(&self, line: &str) -> Answer {
        Answer::of(&self.ssh_gate(line).output().unwrap())
    }

    pub(crate) fn spawn(&self, line: &str) -> Child {
        self.ssh_gate(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn data(&self) -> String {
        self.path("root/app/data").display().to_string()
    }

    pub(crate) fn sync(&self) -> String {
        format!(
            "backupctl --sync app --path {} --remote onedrive:/OdroidBackup",
            self.data()
        )
    }

    pub(crate) fn archive(&self) -> String {
        format!(
            "backupctl --archive app --path {} --remote onedrive:/OdroidBackup",
            self.data()
        )
    }

    /// The names in a folder of the remote.
    pub(crate) fn listing(&self, folder: &str) -> Vec<String> {
        names(&self.path("remote/OdroidBackup").join(folder))
    }

    /// The processes that have the path of this world in their command line, and that line.
    pub(crate) fn running(&self) -> Vec<(Pid, String)> {
        let mark = self.root.path().display().to_string();
        names(Path::new("/proc"))
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .filter_map(|pid: i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                line.contains(&mark).then(|| (Pid::from_raw(pid), line))
            })
            .collect()
    }

    /// The archives of `app` on the remote, without their manifests.
    pub(crate) fn archives(&self) -> Vec<String> {
        let mut names = self.listing("app/archives");
        names.retain(|name| name.ends_with(".tar.gz"));
        names
    }

    /// Their command lines alone.
    pub(crate) fn processes(&self) -> Vec<String> {
        self.running().into_iter().map(|(_, line)| line).collect()
    }

    /// The keepers of this world's leases, and those that stand by.
    pub(crate) fn keepers(&self) -> Vec<Pid> {
        self.running()
            .into_iter()
            .filter(|(_, line)| line.contains("__keep stay") || line.contains("__keep stand-by"))
            .map(|(pid, _)| pid)
            .filter(|&pid| runs_its_own_program(pid))
            .collect()
    }
}

/// False for a child that has not reached its execve(2): it still shows the command line of its parent.
fn runs_its_own_program(pid: Pid) -> bool {
    // PF_FORKNOEXEC of the kernel's include/linux/sched.h, see proc_pid_stat(5).
    const FORK_WITHOUT_EXEC: u64 = 0x40;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let flags = fields
        .split(' ')
        .nth(6)
        .and_then(|text| text.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & FORK_WITHOUT_EXEC == 0)
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// True if a process holds a lock on a file, as a keeper does and its standby does not; see proc_locks(5).
pub(crate) fn holds_a_lock(pid: Pid) -> bool {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some("FLOCK") && fields.nth(2) == Some(&pid.to_string())
    })
}

/// Ends processes before one of them can see that another is gone, and waits until they have released their locks.
pub(crate) fn kill_at_once(pids: &[Pid]) {
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for &pid in pids {
            let _ = kill(pid, signal);
        }
        if signal == Signal::SIGSTOP {
            let halted = |pid: &Pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                stat.is_empty() || stat.contains(") T ") || stat.contains(") Z ")
            };
            wait_until("they are halted", || pids.iter().all(halted));
        }
    }
    wait_until("they are dead", || pids.iter().all(|&pid| is_dead(pid)));
}

/// True if a process is gone and has released its resources.
pub(crate) fn is_dead(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map(|listing| {
            listing
                .flatten()
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

/// Waits for a condition; the test fails if it never becomes true.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_for(Duration::from_secs(10), what, condition);
}

/// The same for a slow condition, for example the end of a lease and its consequences.
#[track_caller]
pub(crate) fn wait_long(what: &str, condition: impl FnMut() -> bool) {
    wait_for(Duration::from_secs(60), what, condition);
}

#[track_caller]
fn wait_for(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + time;
    while !condition() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// True if this system allows mount namespaces; unshare(1) is part of every Debian.
pub(crate) fn can_mount() -> bool {
    let user: &[&str] = if is_root() { &["-m"] } else { &["-Ur", "-m"] };
    Command::new("unshare")
        .args(user)
        .arg("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// False, with a message, if rclone is not installed.
pub(crate) fn have_rclone() -> bool {
    have(RCLONE)
}

pub(crate) fn have(program: &str) -> bool {
    let there = Path::new(program).exists();
    if !there {
        eprintln!("SKIPPED: {program} is not installed");
    }
    there
}
