//! The server as the first process of a container: PID 1 of a namespace of its own.

use crate::harness::{command, wait_for};
use crate::http::Address;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A server that is PID 1.
struct Container {
    /// unshare(1), which ends as the server does and takes all of the namespace along.
    outside: Child,
    data: tempfile::TempDir,
    socket: Address,
}

impl Container {
    /// `None`, with a word of why, where namespaces cannot be made.
    fn start() -> Option<Self> {
        let mut words = vec!["--pid", "--fork", "--mount-proc", "--kill-child"];
        if !nix::unistd::geteuid().is_root() {
            words.extend(["--user", "--map-root-user"]);
        }
        let possible = Command::new("unshare").args(&words).arg("true").output();
        if !possible.is_ok_and(|output| output.status.success()) {
            println!("SKIPPED: this user cannot make a PID namespace");
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        let server = command(data.path());
        let outside = Command::new("unshare")
            .args(&words)
            .arg(server.get_program())
            .arg("serve")
            .env_clear()
            .envs(
                server
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
            .env("LIGHTFLOW_TLS", "off")
            .env("LIGHTFLOW_KILL_GRACE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let path = data.path().join("lightflow.sock");
        wait_for("the server's socket", || {
            std::os::unix::net::UnixStream::connect(&path).ok()
        });
        Some(Self {
            outside,
            data,
            socket: Address::Socket(path),
        })
    }

    /// PID 1 of the namespace, as it is called outside.
    fn init(&self) -> Pid {
        let [init] = children(Pid::from_raw(i32::try_from(self.outside.id()).unwrap()))[..] else {
            panic!("unshare has one child");
        };
        init
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let head = [("Content-Type", "application/json")];
        let answer = self
            .socket
            .send("POST", path, &head, body.to_string().as_bytes());
        answer.json()
    }

    /// Starts a step of a shell.
    fn step(&self, script: &str) {
        let steps = json!([{"name": "s", "command": "sh", "args": ["-c", script]}]);
        self.post("/api/v1/tasks", &json!({"name": "t", "steps": steps}));
        self.post("/api/v1/tasks/t/run", &json!({}));
    }

    /// Its exit status, and its log.
    fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        let mut stderr = self.outside.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.outside.wait().unwrap(), log)
    }
}

/// The children of a process, those included that ended and were not taken in.
fn children(parent: Pid) -> Vec<Pid> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace()
        .map(|word| Pid::from_raw(word.parse().unwrap()))
        .collect()
}

#[test]
fn whoever_loses_its_parent_in_a_container_is_taken_in() {
    let Some(container) = Container::start() else {
        return;
    };
    let init = container.init();
    let server = children(init);
    assert_eq!(server.len(), 1);
    // As `podman exec` does: it enters the container, and its command ends before the children of the command.
    let go = container.data.path().join("go");
    let script = format!(
        "(while ! test -e {}; do sleep 0.05; done) & exit 0",
        go.display()
    );
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &init.to_string(), "--pid", "--mount"]);
    if !nix::unistd::geteuid().is_root() {
        enter.args(["--user", "--preserve-credentials"]);
    }
    let entered = enter
        .args(["sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(entered.success(), "{entered}");
    wait_for("a process without its parent", || {
        (children(init).len() > 1).then_some(())
    });
    std::fs::write(go, "").unwrap();
    wait_for("the server alone", || {
        (children(init) == server).then_some(())
    });
    kill(init, Signal::SIGKILL).unwrap();
    container.end();
}

#[test]
fn a_container_that_is_stopped_ends_in_order() {
    let Some(container) = Container::start() else {
        return;
    };
    container.step("sleep 60");
    kill(container.init(), Signal::SIGTERM).unwrap();
    let (status, log) = container.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopping"), "{log}");
}

#[test]
fn a_server_that_is_killed_ends_its_container() {
    let Some(container) = Container::start() else {
        return;
    };
    let server = children(container.init())[0];
    kill(server, Signal::SIGKILL).unwrap();
    let (status, log) = container.end();
    assert_eq!(
        status.code(),
        Some(137),
        "{status} {:?} {log}",
        status.signal()
    );
}
