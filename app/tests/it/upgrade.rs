//! A database of an earlier version opens, and its tasks and runs are as they were.

use crate::harness::{Server, states};
use serde_json::json;
use std::path::Path;

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

/// The answer of sqlite3, which shares no code with the server's way to the file.
fn sqlite(server: &Server, sql: &str) -> String {
    let output = std::process::Command::new("sqlite3")
        .arg(server.data().join("lightflow.db"))
        .arg(sql)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_file_of_an_older_version_learns_to_shrink() {
    let server = server_on(include_str!("../data/version_0.1.sql"));
    assert_eq!(sqlite(&server, "PRAGMA auto_vacuum"), "2");
}

#[test]
fn a_task_that_runs_no_longer_loses_its_old_runs_and_the_file_shrinks() {
    let server = Server::start();
    let body = json!({"name": "t", "keep_runs": 2, "steps": [{"name": "s", "command": "true"}]});
    server.post("/api/v1/tasks", body).expect(201);
    let server = server.restart_after(|data| {
        let database = rusqlite::Connection::open(data.join("lightflow.db")).unwrap();
        let filled = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            INSERT INTO runs (id, task_id, task_name, trigger, state, note, created_at)
            SELECT i, 1, 't', 'manual', iif(i % 2, 'success', 'missed'), printf('%2000c', 'x'), i FROM n";
        assert_eq!(database.execute(filled, []).unwrap(), 2000);
    });
    let kept = crate::harness::wait_for("the upkeep", || {
        let runs = server.get("/api/v1/runs?limit=500").expect(200).json()["runs"].clone();
        let ids: Vec<i64> = runs
            .as_array()?
            .iter()
            .map(|run| run["id"].as_i64().unwrap())
            .collect();
        (ids.len() < 500).then_some(ids)
    });
    // The limit of age leaves the newest run of each kind.
    assert_eq!(kept, [2000, 1999]);
    assert_eq!(sqlite(&server, "PRAGMA freelist_count"), "0");
    let pages: u32 = sqlite(&server, "PRAGMA page_count").parse().unwrap();
    assert!(pages < 200, "{pages} pages");
}

/// A database of each schema so far, but for the sixth, which `version_0.1.sql` holds. A new migration needs its own.
const SCHEMAS: [(u32, &str); 13] = [
    (1, include_str!("../data/schema_01.sql")),
    (2, include_str!("../data/schema_02.sql")),
    (3, include_str!("../data/schema_03.sql")),
    (4, include_str!("../data/schema_04.sql")),
    (5, include_str!("../data/schema_05.sql")),
    (7, include_str!("../data/schema_07.sql")),
    (8, include_str!("../data/schema_08.sql")),
    (9, include_str!("../data/schema_09.sql")),
    (10, include_str!("../data/schema_10.sql")),
    (11, include_str!("../data/schema_11.sql")),
    (12, include_str!("../data/schema_12.sql")),
    (13, include_str!("../data/schema_13.sql")),
    (14, include_str!("../data/schema_14.sql")),
];

#[test]
fn a_database_of_every_schema_opens_migrates_and_ends_its_run() {
    for (schema, dump) in SCHEMAS {
        assert!(dump.contains(&format!("PRAGMA user_version = {schema};")));
        let server = server_on(dump);
        // The run that went on when the power went: its last step brings the service back.
        let run = server.finished(3);
        assert_eq!(states(&run), ["interrupted", "success"], "{schema}");
        let task = server.get("/api/v1/tasks/backup").expect(200).json();
        let kept = json!([
            task["cron"],
            task["zone"],
            task["pool"],
            task["on_missed"],
            task["keep_runs"],
            task["steps"][1]["args"]
        ]);
        let expected = json!([
            "0 3 * * *",
            "Europe/Paris",
            "slow",
            "skip",
            7,
            ["start", "a b", "Ünïcode 🙂"]
        ]);
        assert_eq!(kept, expected, "{schema}");
        assert_eq!(
            task["steps"][0]["env"],
            json!({"EMPTY": "", "WHO": "it's me"}),
            "{schema}"
        );
        assert_eq!(server.run(2)["state"], "success", "{schema}");
        let next = server.trigger("plain");
        assert_eq!(next, 4, "{schema}");
        assert_eq!(states(&server.finished(next)), ["success"], "{schema}");
        for path in [
            "/",
            "/tasks",
            "/metrics",
            "/api/v1/export",
            "/api/v1/audit",
            "/readyz",
        ] {
            assert_eq!(server.get(path).status, 200, "{schema} {path}");
        }
        let checked: String = rusqlite::Connection::open(server.data().join("lightflow.db"))
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(checked, "ok", "{schema}");
    }
}

#[test]
fn each_migration_has_a_database_of_its_schema() {
    let server = Server::start();
    let newest: u32 = rusqlite::Connection::open(server.data().join("lightflow.db"))
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    let mut known: Vec<u32> = SCHEMAS
        .iter()
        .map(|(schema, _)| *schema)
        .chain([6])
        .collect();
    known.sort_unstable();
    assert_eq!(known, Vec::from_iter(1..=newest));
}

#[test]
fn an_upgrade_adopts_the_files_that_steps_execute_and_no_others() {
    let server = Server::start();
    let steps = json!([
        {"name": "a", "command": "python3", "args": ["/scripts/backup.py", "--stop", "x"]},
        {"name": "b", "command": "sh", "args": ["-c", "cat debug.txt"]},
        {"name": "c", "command": "./late.sh"}]);
    server
        .post("/api/v1/tasks", json!({"name": "t", "steps": steps}))
        .expect(201);
    let put = |data: &Path, name: &str| {
        std::fs::write(data.join("scripts").join(name), "echo\n").unwrap()
    };
    let server = server.restart_after(|data| {
        // As release 0.1 left it: files alone.
        std::fs::remove_dir_all(data.join("script-versions")).unwrap();
        put(data, "backup.py");
        put(data, "debug.txt");
    });
    let names = |server: &Server, kind: &str| {
        let list = server.get("/api/v1/scripts").expect(200).json();
        let files = list[kind].as_array().unwrap().clone();
        let name = |file: &serde_json::Value| file["name"].as_str().unwrap().to_owned();
        files.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&server, "scripts"), ["backup.py"]);
    assert_eq!(names(&server, "others"), ["debug.txt"]);
    // A file that comes after the upgrade waits for an admin.
    let server = server.restart_after(|data| put(data, "late.sh"));
    assert_eq!(names(&server, "scripts"), ["backup.py"]);
    assert_eq!(names(&server, "others"), ["debug.txt", "late.sh"]);
}
