//! Recovery after a crash, a restart and a second runner.

use crate::harness::{Server, command, processes, states, wait_for};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

/// `mark` tells this test's processes from those of others that run beside it.
fn backup_task(server: &Server, mark: u32) {
    let started = server.data().join("started");
    server.shell_task(
        "backup",
        &[
            ("stop", "true", json!({})),
            ("sync", &format!("sleep {mark}"), json!({})),
            ("archive", "true", json!({})),
            (
                "start",
                &format!("echo again >> {}", started.display()),
                json!({"rule": "always"}),
            ),
        ],
    );
}

#[test]
fn after_a_crash_the_always_step_runs_at_once() {
    let server = Server::start();
    backup_task(&server, 4713);
    let run = server.trigger("backup");
    server.step_is(run, 1, "running");
    let server = server.crash_and_restart();
    let run = server.finished(run);
    assert_eq!(
        states(&run),
        ["success", "interrupted", "not_run", "success"]
    );
    assert_eq!(run["state"], "interrupted");
    assert_eq!(
        fs::read_to_string(server.data().join("started")).unwrap(),
        "again\n"
    );
}

#[test]
fn no_step_outlives_its_runner() {
    let server = Server::start();
    server.shell_task("t", &[("s", "setsid sleep 4714 & sleep 4714", json!({}))]);
    server.trigger("t");
    wait_for("both", || {
        (processes("sleep\x004714").len() >= 2).then_some(())
    });
    let _server = server.crash_and_restart();
    wait_for("their end", || {
        processes("sleep\x004714").is_empty().then_some(())
    });
}

#[test]
fn an_ordinary_stop_is_recovered_like_a_crash() {
    let server = Server::start();
    backup_task(&server, 4717);
    let run = server.trigger("backup");
    server.step_is(run, 1, "running");
    let server = server.restart();
    assert!(processes("sleep\x004717").is_empty());
    let run = server.finished(run);
    assert_eq!(
        states(&run),
        ["success", "interrupted", "not_run", "success"]
    );
}

#[test]
fn a_crash_in_the_always_step_runs_it_again() {
    let server = Server::start();
    let gate = server.data().join("gate");
    let script = format!("test -e {} || exec sleep 4715", gate.display());
    server.shell_task(
        "t",
        &[
            ("s", "false", json!({})),
            ("start", &script, json!({"rule": "always"})),
        ],
    );
    let run = server.trigger("t");
    server.step_is(run, 1, "running");
    fs::write(&gate, "").unwrap();
    let server = server.crash_and_restart();
    let run = server.finished(run);
    assert_eq!(states(&run), ["failed", "success"]);
    assert_eq!(run["steps"][1]["attempt"], 2);
    assert_eq!(run["state"], "interrupted");
}

#[test]
fn runs_that_waited_for_a_slot_run_after_a_crash() {
    let server = Server::start();
    server
        .post("/api/v1/pools", json!({"name": "one", "slots": 1}))
        .expect(201);
    let gate = server.data().join("gate");
    let script = format!("test -e {} || exec sleep 4716", gate.display());
    for name in ["a", "b"] {
        let step = json!({"name": "s", "command": "sh", "args": ["-c", script]});
        server
            .post(
                "/api/v1/tasks",
                json!({"name": name, "pool": "one", "steps": [step]}),
            )
            .expect(201);
    }
    let (a, b) = (server.trigger("a"), server.trigger("b"));
    server.step_is(a, 0, "running");
    server.step_is(b, 0, "queued");
    fs::write(&gate, "").unwrap();
    let server = server.crash_and_restart();
    assert_eq!(server.finished(a)["state"], "interrupted");
    assert_eq!(server.finished(b)["state"], "success");
}

fn refused(prepare: impl FnOnce(&Server) -> Output) -> String {
    let server = Server::start();
    let output = prepare(&server);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_second_runner_on_the_same_data_is_refused() {
    let error = refused(|server| {
        let mut second = command(server.data());
        second
            .arg("serve")
            .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
            .output()
            .unwrap()
    });
    assert!(
        error.contains("another lightflow serves the data directory"),
        "{error}"
    );
}

#[test]
fn a_port_in_use_is_told_with_its_variable() {
    let error = refused(|server| {
        let crate::http::Address::Tcp(address) = &server.network else {
            unreachable!()
        };
        let dir = tempfile::tempdir().unwrap();
        command(dir.path())
            .arg("serve")
            .env("LIGHTFLOW_LISTEN", address)
            .output()
            .unwrap()
    });
    assert!(
        error.contains("another program listens there already"),
        "{error}"
    );
    assert!(error.contains("LIGHTFLOW_LISTEN"), "{error}");
}

fn start_on(prepare: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let mut start = command(dir.path());
    let output = start
        .arg("serve")
        .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_garbage_database_is_told_and_left_alone() {
    let mut kept = None;
    let error = start_on(|dir| {
        fs::write(dir.join("lightflow.db"), vec![7u8; 9000]).unwrap();
        kept = Some(dir.join("lightflow.db"));
    });
    assert!(
        error.contains("lightflow.db") && error.contains("restore a snapshot"),
        "{error}"
    );
}

#[test]
fn a_data_directory_that_cannot_be_written_is_told() {
    // A file in its place stops root, too, in contrast to a mode.
    let error = start_on(|dir| {
        fs::remove_dir_all(dir).unwrap();
        fs::write(dir, "").unwrap();
    });
    assert!(error.contains("LIGHTFLOW_DATA_DIR"), "{error}");
}

/// Starts the server as a user who is bound by modes: where the test is root, as uid 65534.
fn start_as_a_user(prepare: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("lightflow");
    fs::copy(crate::harness::BINARY, &binary).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut start = Command::new(&binary);
    start
        .arg("serve")
        .env_clear()
        .env("LIGHTFLOW_DATA_DIR", &data)
        .env("LIGHTFLOW_LISTEN", "127.0.0.1:0");
    let nobody = 65534;
    let root = nix::unistd::geteuid().is_root();
    if root {
        start.uid(nobody).gid(nobody);
    }
    prepare(&data);
    for path in [data.join("lightflow.db"), data.clone()] {
        if root && path.exists() {
            chown(&path, Some(nobody), Some(nobody)).unwrap();
        }
    }
    let output = start.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_read_only_database_is_told() {
    let error = start_as_a_user(|data| {
        let database = data.join("lightflow.db");
        fs::write(&database, "").unwrap();
        fs::set_permissions(&database, fs::Permissions::from_mode(0o400)).unwrap();
    });
    assert!(
        error.contains("it is read-only; the file and its folder must be writable"),
        "{error}"
    );
}

#[test]
fn a_data_directory_that_nobody_may_write_to_is_told() {
    let error = start_as_a_user(|data| {
        fs::set_permissions(data, fs::Permissions::from_mode(0o500)).unwrap();
    });
    assert!(error.contains("may write to"), "{error}");
}

#[test]
fn a_key_that_others_may_read_is_told() {
    let error = start_on(|dir| {
        fs::write(dir.join("secret.key"), [0u8; 32]).unwrap();
        fs::set_permissions(dir.join("secret.key"), fs::Permissions::from_mode(0o644)).unwrap();
    });
    assert!(error.contains("chmod 600"), "{error}");
}
