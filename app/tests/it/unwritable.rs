//! While the database cannot be written, services come back all the same, and everybody is told.

use crate::harness::{Server, states, wait_for};
use crate::receivers::WebServer;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Locks the database as another program would, until the answer is dropped.
fn locked(server: &Server) -> Connection {
    let other = Connection::open(server.data().join("lightflow.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[test]
fn an_always_step_does_not_wait_for_a_locked_database() {
    let server = Server::start();
    server.shell_task(
        "backup",
        &[
            ("sync", "while ! test -e go; do sleep 0.02; done", json!({})),
            ("start", "touch started", json!({"rule": "always"})),
        ],
    );
    server.shell_task("other", &[("s", "true", json!({}))]);
    let run = server.trigger("backup");
    server.step_is(run, 0, "running");
    let lock = locked(&server);
    fs::write(server.data().join("scripts/go"), "").unwrap();
    wait_for("the always step", || {
        server.data().join("scripts/started").exists().then_some(())
    });
    // The write of the first step's end still waits for the lock: nothing has failed.
    assert!(
        !server.log().contains("cannot be written"),
        "{}",
        server.log()
    );
    // The event loop answers meanwhile.
    server.get("/api/v1/pools").expect(200);
    drop(lock);
    let run = server.finished(run);
    assert_eq!(states(&run), ["success", "success"]);
}

#[test]
fn a_database_that_cannot_be_written_is_told_everywhere_until_it_can() {
    let server = Server::start();
    let hook = WebServer::start();
    let target = json!({"kind": "webhook", "url": format!("http://{}/in", hook.address)});
    server
        .post(
            "/api/v1/channels",
            json!({"name": "hook", "target": target}),
        )
        .expect(201);
    server.get("/readyz").expect(200);
    let writable = |server: &Server, wanted: &str| {
        let metrics = server.get("/metrics").expect(200).text();
        metrics.contains(&format!("\nlightflow_database_writable {wanted}\n"))
    };
    assert!(writable(&server, "1"));
    let lock = locked(&server);
    let variable = json!({"value": "x"});
    server
        .json("PUT", "/api/v1/variables/KEY", variable.clone())
        .expect(503);
    let answer = wait_for("the server to be not ready", || {
        Some(server.get("/readyz")).filter(|answer| answer.status == 503)
    });
    let why = "The database cannot be written: another program locks it";
    assert!(answer.text().contains(why), "{}", answer.text());
    for page in ["/", "/tasks", "/settings/about"] {
        let text = server.get(page).expect(200).text();
        assert!(text.contains(why), "{page}");
    }
    assert!(writable(&server, "0"));
    let told: Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!(told["event"], "failure");
    assert!(told["text"].as_str().unwrap().contains(why), "{told}");
    drop(lock);
    wait_for("the server to be ready", || {
        (server.get("/readyz").status == 200).then_some(())
    });
    assert!(writable(&server, "1"));
    assert!(!server.get("/").expect(200).text().contains(why));
    let told: Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!(told["event"], "recovery");
    server
        .json("PUT", "/api/v1/variables/KEY", variable)
        .expect(200);
}

/// Takes the permission to write from a folder and all in it, or gives it back.
fn protect(folder: &Path, protected: bool) {
    let keep = |mode: u32| {
        if protected {
            mode & !0o222
        } else {
            mode | 0o200
        }
    };
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            protect(&entry.path(), protected);
        } else if kind.is_file() {
            let mode = entry.metadata().unwrap().permissions().mode();
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(keep(mode))).unwrap();
        }
    }
    let mode = fs::metadata(folder).unwrap().permissions().mode();
    fs::set_permissions(folder, fs::Permissions::from_mode(keep(mode))).unwrap();
}

#[test]
fn a_write_protected_folder_still_runs_what_is_owed() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: a server of another user needs root");
        return;
    }
    let uid = 300_000 + std::process::id() % 100_000;
    let outside = tempfile::tempdir().unwrap();
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let started = outside.path().join("started");
    let server = Server::start_as(uid);
    server.shell_task(
        "backup",
        &[
            ("sync", "sleep 600", json!({})),
            (
                "start",
                &format!("echo up > {}", started.display()),
                json!({"rule": "always"}),
            ),
        ],
    );
    let run = server.trigger("backup");
    server.step_is(run, 0, "running");
    let server = server.crash_and_change_as(uid, |data| protect(data, true));
    wait_for("the always step", || started.exists().then_some(()));
    let answer = server.network.send("GET", "/readyz", &[], b"");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("read-only"), "{}", answer.text());
    // The next start finds the run unfinished, and always means always.
    fs::remove_file(&started).unwrap();
    let server = server.crash_and_change_as(uid, |data| protect(data, false));
    let run = server.finished(run);
    assert_eq!(states(&run), ["interrupted", "success"]);
    assert!(started.exists());
    server.get("/readyz").expect(200);
}
