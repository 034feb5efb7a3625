//! The runner backs itself up while it works: its own `snapshot`, and the user's script.

use crate::harness::{Server, command};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Starts `number` runs of a quick task, one after the other, from another thread.
fn write_runs(server: &Server, number: usize) {
    server.shell_task(
        "busy",
        &[("a", "true", json!({})), ("b", "true", json!({}))],
    );
    for _ in 0..number {
        server.run_to_end("busy");
    }
}

fn integrity(database: &Path) -> (String, i64) {
    let db = rusqlite::Connection::open(database).unwrap();
    let check = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    let runs = db
        .query_row("SELECT count(*) FROM runs", [], |row| row.get(0))
        .unwrap();
    (check, runs)
}

#[test]
fn a_snapshot_is_whole_while_fifty_runs_are_written() {
    let server = Server::start();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| write_runs(&server, 50));
        let mut last = 0;
        while !writing.is_finished() {
            let done = command(server.data()).arg("snapshot").output().unwrap();
            assert!(
                done.status.success(),
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
            let (check, runs) = integrity(&server.data().join("backup/lightflow.db"));
            assert_eq!(check, "ok");
            assert!(runs >= last);
            last = runs;
        }
        writing.join().unwrap();
    });
}

#[test]
fn the_users_self_backup_runs_as_a_step_while_fifty_runs_are_written() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/seed/self_backup.py");
    let Ok(script) = std::fs::read(&script) else {
        eprintln!("skipped: {} is not there", script.display());
        return;
    };
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: python3 is not installed");
        return;
    }
    let server = Server::start();
    server
        .socket
        .send("PUT", "/api/v1/scripts/self_backup.py", &[], &script)
        .expect(200);
    let step =
        json!({"name": "snapshot", "command": "python3", "args": "self_backup.py", "timeout": 60});
    server
        .post("/api/v1/tasks", json!({"name": "self", "steps": [step]}))
        .expect(201);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| write_runs(&server, 50));
        let mut snapshots = 0;
        while !writing.is_finished() || snapshots == 0 {
            let run = server.run_to_end("self");
            let id = run["id"].as_i64().unwrap();
            assert_eq!(run["state"], "success", "{}", server.step_log(id, 0));
            assert!(server.step_log(id, 0).contains("snapshot written"));
            let (check, runs) = integrity(&server.data().join("backup/lightflow.db"));
            assert_eq!(check, "ok");
            assert!(runs > 0);
            snapshots += 1;
        }
        writing.join().unwrap();
    });
}
