//! The start test of a rehearsal, with a real Podman: the service's own image on the copy, and nothing else in its reach.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::confinement::told;
use crate::harness::{Answer, World, have, have_rclone, is_root, names, pid, wait_long};
use crate::rehearsal::{REHEARSE, is_clean, proofs};

const PODMAN: &str = "/usr/bin/podman";

const IMAGE: &str = "localhost/box";

/// Programs of the image.
const PROGRAMS: [&str; 7] = ["dash", "sleep", "cat", "touch", "test", "mkdir", "grep"];

/// A world with a container of `app`; both are removed at the end.
struct Contained {
    world: World,
    podman: String,
}

impl Contained {
    /// Runs `command` in a container with `data` at /data, and with a health check; `None` where Podman cannot run one.
    fn new(command: &str, check: &str, more: &[&str]) -> Option<Self> {
        if !have_rclone() || !have(PODMAN) || !is_root() {
            eprintln!("SKIPPED: a start test needs root's Podman");
            return None;
        }
        let world = World::new();
        // Images and containers of this world alone.
        let here = world.path("").display().to_string();
        let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/../ci/podman.conf");
        let podman = world.script(
            "podman",
            &format!(
                "export CONTAINERS_CONF={settings}\nexec {PODMAN} --storage-driver vfs --root {here}containers --runroot {here}running --tmpdir {here}podman \"$@\"\n"
            ),
        );
        let this = Self { world, podman };
        // The live service sees this file, and the copy has none.
        this.world.write("root/app/data/live", "");
        this.world.set(&format!(
            "[rehearsal]\nallowed = true\npodman = \"{}\"\nstart_seconds = 60\nstart_memory = 64",
            this.podman
        ));
        this.image();
        let data = format!("{}:/data", this.world.data());
        let mut words = vec!["run", "--detach", "--name", "app", "--network", "none"];
        words.extend(["--health-cmd", check, "--health-interval", "disable"]);
        words.extend(["--volume", &data]);
        words.extend(more);
        words.extend([IMAGE, "/bin/dash", "-c", command]);
        let ran = this.podman(&words);
        if ran.code != 0 {
            eprintln!("SKIPPED: Podman runs no container here: {}", ran.err);
            return None;
        }
        Some(this)
    }

    /// Packs the data as it is when the service does not look.
    fn archive(&self) {
        fs::remove_file(self.world.path("root/app/data/live")).unwrap();
        self.world.request(&self.world.archive()).expect(0);
    }

    /// Makes the image from programs of this machine and their libraries.
    fn image(&self) {
        let root = self.world.path("image");
        for folder in [
            "bin", "data", "etc", "proc", "sys", "dev", "run", "tmp", "var/tmp",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let probe = Path::new(env!("CARGO_BIN_EXE_backupctl")).with_file_name("examples/probe");
        let mut programs: Vec<PathBuf> = PROGRAMS
            .iter()
            .map(|p| Path::new("/usr/bin").join(p))
            .collect();
        programs.push(probe);
        for program in programs {
            fs::copy(
                &program,
                root.join("bin").join(program.file_name().unwrap()),
            )
            .unwrap();
            let libraries = Command::new("ldd").arg(&program).output().unwrap().stdout;
            let libraries = String::from_utf8(libraries).unwrap();
            for library in libraries
                .split_whitespace()
                .filter(|word| word.starts_with('/'))
            {
                let to = root.join(library.trim_start_matches('/'));
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(library, to).unwrap();
            }
        }
        fs::copy(root.join("bin/dash"), root.join("bin/sh")).unwrap();
        let tar = self.world.path("image.tar").display().to_string();
        let words = ["-C", root.to_str().unwrap(), "-cf", &tar, "."];
        let packed = Command::new("tar").args(words).status().unwrap();
        assert!(packed.success());
        let words = [
            "import",
            "--quiet",
            "--change",
            "ENV PATH=/bin",
            &tar,
            IMAGE,
        ];
        let made = self.podman(&words);
        made.expect(0);
    }

    fn podman(&self, words: &[&str]) -> Answer {
        let mut command = Command::new(&self.podman);
        Answer::of(&command.args(words).stdin(Stdio::null()).output().unwrap())
    }

    /// Containers of start tests of this world: none but while a rehearsal runs.
    fn trials(&self) -> Vec<String> {
        let all = self.podman(&["ps", "--all", "--format", "{{.Names}}"]).out;
        let trials = all.lines().filter(|name| *name != "app");
        trials.map(str::to_owned).collect()
    }

    fn rehearse(&self, code: i32) -> (Value, Answer) {
        let answer = self.world.request(REHEARSE).expect(code);
        let proof = proofs(&answer).pop().unwrap();
        is_clean(&self.world);
        assert_eq!(self.trials(), Vec::<String>::new());
        assert!(!self.world.exists("state/rehearsal"));
        (proof, answer)
    }

    /// The copy while the test runs.
    fn copy(&self) -> Option<PathBuf> {
        let folder = self.world.path("spool/.rehearsal/0");
        let name = names(&folder)
            .into_iter()
            .find(|name| name.starts_with(".restoring-"))?;
        Some(folder.join(name))
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.podman(&["rm", "--force", "--time", "0", "app"]);
    }
}

const HEALTHY: &str = "test -e /data/file && test -e /data/started";

#[test]
fn a_service_starts_on_each_kind_of_copy_and_the_live_data_stays() {
    let Some(app) = Contained::new("touch /data/started; exec sleep 1000", HEALTHY, &[]) else {
        return;
    };
    wait_long("the service is up", || {
        app.world.exists("root/app/data/started")
    });
    fs::remove_file(app.world.path("root/app/data/started")).unwrap();
    app.archive();
    app.world.request(&app.world.sync()).expect(0);
    for copy in ["archive", "mirror"] {
        let (proof, answer) = app.rehearse(0);
        assert_eq!(
            (&proof["copy"], &proof["started"]),
            (&copy.into(), &"healthy".into())
        );
        assert!(
            answer
                .out
                .contains("the service started on it and is healthy")
        );
    }
    // The copy was started, and not the data.
    assert!(!app.world.exists("root/app/data/started"));
    let running = app.podman(&["inspect", "--format", "{{.State.Running}}", "app"]);
    assert_eq!(running.out.trim(), "true");
}

#[test]
fn a_copy_that_starts_and_fails_its_health_check_is_found() {
    // The live service has the file, and no copy will.
    let Some(app) = Contained::new("exec sleep 1000", "test -e /data/made/later", &[]) else {
        return;
    };
    app.archive();
    app.world.set("[rehearsal]\nstart_seconds = 2");
    let (proof, answer) = app.rehearse(65);
    assert_eq!(
        (&proof["started"], &proof["proven"]),
        (&"unhealthy".into(), &false.into())
    );
    assert!(
        answer
            .err
            .contains("health check did not pass within 2 seconds"),
        "{}",
        answer.err
    );
    // One that ends at once.
    let Some(app) = Contained::new(
        "test -e /data/live && exec sleep 1000; exit 3",
        HEALTHY,
        &[],
    ) else {
        return;
    };
    app.archive();
    let (proof, answer) = app.rehearse(65);
    assert_eq!(proof["started"], "unhealthy");
    assert!(
        answer.err.contains("ended before the health check passed"),
        "{}",
        answer.err
    );
}

#[test]
fn a_service_with_a_mount_outside_of_its_data_is_not_started() {
    let Some(app) = Contained::new(
        "exec sleep 1000",
        "true",
        &["--volume", "/usr/share:/share:ro"],
    ) else {
        return;
    };
    app.archive();
    let (proof, answer) = app.rehearse(0);
    assert_eq!(proof["started"], "impossible");
    let reason = proof["reason"].as_str().unwrap();
    assert!(
        reason.contains("/share") && reason.contains("outside of the data"),
        "{reason}"
    );
    assert!(
        answer.out.contains("start test not possible: "),
        "{}",
        answer.out
    );
}

#[test]
fn a_link_in_the_place_of_a_mount_leads_nowhere() {
    let Some(app) = Contained::new("exec sleep 1000", "true", &[]) else {
        return;
    };
    let data = app.world.path("root/app/data");
    fs::create_dir(data.join("config")).unwrap();
    app.podman(&["rm", "--force", "--time", "0", "app"])
        .expect(0);
    let mount = format!("{}/config:/config", app.world.data());
    let words = [
        "run",
        "--detach",
        "--name",
        "app",
        "--network",
        "none",
        "--health-cmd",
        "true",
    ];
    let words = [
        &words[..],
        &["--volume", &mount, IMAGE, "/bin/sleep", "1000"],
    ]
    .concat();
    app.podman(&words).expect(0);
    // The copy has a link where the running service has its folder.
    fs::rename(data.join("config"), app.world.path("root/app/config")).unwrap();
    std::os::unix::fs::symlink("/etc", data.join("config")).unwrap();
    app.archive();
    let (proof, answer) = app.rehearse(65);
    assert_eq!(proof["started"], "unhealthy");
    assert!(
        answer.err.contains("the copy has no config"),
        "{}",
        answer.err
    );
}

#[test]
fn a_started_service_reaches_nothing_but_the_copy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hidden = SocketAddr::from_abstract_name("rehearsal-test").unwrap();
    let _hidden = UnixListener::bind_addr(&hidden);
    let port = listener.local_addr().unwrap().port();
    let own = std::process::id();
    let command = format!(
        "test -e /data/live && exec sleep 1000; /bin/probe in-a-container $(cat /data/where) {port} {own} > /data/probe.out; touch /data/done; exec sleep 1000"
    );
    let Some(app) = Contained::new(&command, "test -e /data/go", &[]) else {
        return;
    };
    app.world.write("root/app/data/where", &app.world.data());
    app.archive();
    let mut rehearsal = app.world.spawn(REHEARSE);
    wait_long("the probe is done", || {
        app.copy().is_some_and(|copy| copy.join("done").exists())
    });
    let copy = app.copy().unwrap();
    let outcomes = told(fs::read_to_string(copy.join("probe.out")).unwrap().lines());
    // The traces of the test are there while it runs.
    assert_eq!(app.trials().len(), 1);
    fs::write(copy.join("go"), "").unwrap();
    assert!(rehearsal.wait().unwrap().success());
    let mut allowed: Vec<&str> = outcomes
        .iter()
        .filter(|(_, outcome)| *outcome == "ok")
        .map(|(name, _)| name.as_str())
        .collect();
    allowed.sort_unstable();
    // Podman's own list of system calls decides about that, as for the live container.
    allowed.retain(|name| *name != "make a user namespace");
    let expected = [
        "make a file in /tmp",
        "make a file in the copy",
        "read the copy",
        "write to the copy",
    ];
    assert_eq!(allowed, expected, "{outcomes:?}");
    assert!(outcomes.len() >= 25, "{outcomes:?}");
    assert_eq!(outcomes["NoNewPrivs"], "1");
    assert_eq!(outcomes["interfaces"], "Ok(1)");
    let bits = |name: &str| u64::from_str_radix(&outcomes[name], 16).unwrap();
    let live = app
        .podman(&["inspect", "--format", "{{.State.Pid}}", "app"])
        .out;
    let live = fs::read_to_string(format!("/proc/{}/status", live.trim())).unwrap();
    for name in ["CapEff", "CapBnd"] {
        let own = live
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let own = u64::from_str_radix(own.trim_start_matches(':').trim(), 16).unwrap();
        assert_eq!(bits(name) & !own, 0, "{name}");
    }
    assert_eq!(app.trials(), Vec::<String>::new());
    is_clean(&app.world);
}

#[test]
fn a_killed_rehearsal_is_cleared_by_the_next_action() {
    for next in ["sync", "recover"] {
        let Some(app) = Contained::new("exec sleep 1000", "test -e /data/never", &[]) else {
            return;
        };
        // A folder that only another user may enter.
        let closed = app.world.path("root/app/data/closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("file"), "x").unwrap();
        std::os::unix::fs::chown(&closed, Some(4711), Some(4711)).unwrap();
        app.archive();
        let mut rehearsal = app.world.spawn(REHEARSE);
        wait_long("the copy runs", || !app.trials().is_empty());
        kill(pid(&rehearsal), Signal::SIGKILL).unwrap();
        rehearsal.wait().unwrap();
        assert!(app.copy().is_some() && app.world.exists("state/rehearsal"));
        match next {
            "sync" => app.world.request(&app.world.sync()).expect(0),
            _ => app.world.on_host(&["--recover"]).expect(0),
        };
        assert_eq!(app.trials(), Vec::<String>::new(), "{next}");
        let left = names(&app.world.path("spool/.rehearsal/0"));
        assert!(left.is_empty(), "{next}: {left:?}");
        assert!(!app.world.exists("state/rehearsal"));
    }
}
