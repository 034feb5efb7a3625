//! A database of an earlier version opens, and its tasks and runs are as they were.

use crate::harness::{Server, states};
use serde_json::json;

/// Starts a server on the database that a dump holds.
fn server_on(dump: &str) -> Server {
    Server::start().restart_after(|data| {
        for name in ["lightflow.db", "lightflow.db-wal", "lightflow.db-shm"] {
            let _ = std::fs::remove_file(data.join(name));
        }
        let database = rusqlite::Connection::open(data.join("lightflow.db")).unwrap();
        database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        database.execute_batch(dump).unwrap();
    })
}

#[test]
fn a_database_of_version_0_1_opens_migrates_and_runs() {
    let server = server_on(include_str!("../data/version_0.1.sql"));
    let task = server.get("/api/v1/tasks/backup").expect(200).json();
    for (field, value) in [
        ("cron", json!("0 3 * * *")),
        ("zone", json!("Europe/Paris")),
        ("pool", json!("slow")),
        ("auto", json!(false)),
        ("on_missed", json!("skip")),
        ("keep_runs", json!(7)),
        ("keep_days", json!(30)),
    ] {
        assert_eq!(task[field], value, "{field}");
    }
    let steps = json!([
        {"name": "stop", "command": "sh", "args": ["-c", "echo \"stop $WHO\""], "rule": "on_success",
            "timeout": 3600, "retries": 2, "retry_delay": 5, "env": {"EMPTY": "", "WHO": "it's me"}},
        {"name": "fail", "command": "sh", "args": ["-c", "exit 3"], "rule": "on_success", "timeout": 60},
        {"name": "start", "command": "echo", "args": ["start", "a b", "Ünïcode 🙂"], "rule": "always",
            "timeout": 3600, "working_dir": "/tmp"},
    ]);
    assert_eq!(task["steps"], steps);
    let run = server.run(1);
    assert_eq!(states(&run), ["success", "failed", "success"]);
    let kept: Vec<_> = run["steps"].as_array().unwrap().iter().collect();
    for (kept, step) in kept.iter().zip(steps.as_array().unwrap()) {
        assert_eq!(kept["name"], step["name"]);
    }
    let plain = server.get("/api/v1/tasks/plain").expect(200).json();
    assert_eq!(
        (&plain["auto"], &plain["cron"]),
        (&json!(false), &json!(null))
    );
    // The paused schedule is remembered, and a run follows on the earlier ones.
    let resumed = server.post("/api/v1/schedules/resume", json!({})).json();
    assert_eq!(resumed["tasks"], 1);
    assert_eq!(server.get("/api/v1/tasks/backup").json()["auto"], true);
    let next = server.trigger("plain");
    assert_eq!(next, 3);
    assert_eq!(states(&server.finished(next)), ["success"]);
}
