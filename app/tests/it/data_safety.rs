//! Data and secrets survive mistakes and faults: snapshots and exports over the server's own files, a lost key, a lost
//! database, a stop, restored snapshots.

use crate::harness::{BINARY, Server, wait_for};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

fn lightflow(data: &Path, args: &[&str]) -> Output {
    Command::new(BINARY)
        .env("LIGHTFLOW_DATA_DIR", data)
        .current_dir(data)
        .args(args)
        .output()
        .unwrap()
}

fn secret(server: &Server) {
    let body = json!({"value": "hunter2-long", "secret": true});
    server
        .json("PUT", "/api/v1/variables/KEY", body)
        .expect(200);
}

#[test]
fn a_snapshot_or_export_never_replaces_a_file_of_the_server() {
    let server = Server::start();
    secret(&server);
    let data = server.data();
    std::fs::write(data.join("scripts/x.sh"), "echo x").unwrap();
    let outside = tempfile::tempdir().unwrap();
    let hard = outside.path().join("hard.db");
    std::fs::hard_link(data.join("lightflow.db"), &hard).unwrap();
    symlink(data, outside.path().join("door")).unwrap();
    let note = outside.path().join("note.txt");
    std::fs::write(&note, "mine").unwrap();
    let key = std::fs::read(data.join("secret.key")).unwrap();
    let absolute = data.join("lightflow.db");
    let through = outside.path().join("door/secret.key");
    let up = data.join("backup/../lightflow.lock");
    let new = data.join("logs/new.db");
    for target in [
        Path::new("lightflow.db"),
        Path::new("secret.key"),
        Path::new("lightflow.lock"),
        Path::new("scripts/x.sh"),
        Path::new("lightflow.db-wal"),
        &absolute,
        &through,
        &up,
        &new,
        &hard,
    ] {
        for verb in ["snapshot", "export"] {
            let said = lightflow(data, &[verb, target.to_str().unwrap()]);
            assert!(!said.status.success(), "{verb} {}", target.display());
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(
                text.contains("choose another") || text.contains("another folder"),
                "{text}"
            );
        }
    }
    let said = lightflow(data, &["snapshot", note.to_str().unwrap()]);
    assert!(!said.status.success());
    assert_eq!(std::fs::read(&note).unwrap(), b"mine");
    assert_eq!(std::fs::read(data.join("secret.key")).unwrap(), key);
    assert_eq!(std::fs::read(data.join("scripts/x.sh")).unwrap(), b"echo x");
    assert!(!new.exists());

    let good = outside.path().join("folder/copy.db");
    for _ in 0..2 {
        let said = lightflow(data, &["snapshot", good.to_str().unwrap()]);
        assert!(said.status.success(), "{said:?}");
    }
    assert!(lightflow(data, &["snapshot"]).status.success());
    let copy = rusqlite::Connection::open(&good).unwrap();
    let checked: String = copy
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(checked, "ok");
    let server = server.restart();
    assert_eq!(
        server.get("/api/v1/variables").expect(200).json()["variables"][0]["key"],
        "KEY"
    );
}

#[test]
fn a_lost_key_is_told_everywhere_until_the_secrets_are_set_again() {
    let server = Server::start();
    secret(&server);
    server.get("/readyz").expect(200);
    let server =
        server.restart_after(|data| std::fs::remove_file(data.join("secret.key")).unwrap());
    wait_for("the problem", || {
        server
            .log()
            .contains("secret.key does not open")
            .then_some(())
    });
    let ready = server.get("/readyz").expect(503).text();
    assert!(ready.contains("KEY"), "{ready}");
    let page = server.get("/pools").expect(200).text();
    assert!(page.contains("does not open 1 secret(s): KEY"), "{page}");
    // Another start makes it no better.
    let server = server.restart();
    wait_for("the problem", || {
        (server.get("/readyz").status == 503).then_some(())
    });
    secret(&server);
    wait_for("readiness", || {
        (server.get("/readyz").status == 200).then_some(())
    });
}

#[test]
fn an_empty_database_beside_logs_is_told_and_the_logs_stay() {
    let server = Server::start();
    server.shell_task("t", &[("s", "echo precious", json!({}))]);
    server.run_to_end("t");
    let server =
        server.restart_after(|data| std::fs::write(data.join("lightflow.db"), "").unwrap());
    let ready = server.get("/readyz").expect(503).text();
    assert!(ready.contains("the database was lost"), "{ready}");
    assert!(server.log().contains("the database was lost"));
    assert!(
        server
            .get("/")
            .expect(200)
            .text()
            .contains("the database was lost")
    );
    let log = std::fs::read_to_string(server.data().join("logs/1/1-1.0.log")).unwrap();
    assert_eq!(log, "precious\n");
}

#[test]
fn a_stop_empties_the_log_of_changes_and_damage_after_a_crash_is_told() {
    let server = Server::start();
    secret(&server);
    let server = server.restart_after(|data| {
        let left = std::fs::metadata(data.join("lightflow.db-wal")).map_or(0, |m| m.len());
        assert_eq!(left, 0);
    });
    for n in 0..30 {
        let body = json!({"value": "v".repeat(5000)});
        server
            .json("PUT", &format!("/api/v1/variables/V{n}"), body)
            .expect(200);
    }
    let server = server.crash_and_restart();
    wait_for("the check", || {
        server.log().contains("undamaged").then_some(())
    });
    // The first page of the table of variables is overwritten; the next change leaves a log behind.
    let server = server.restart_after(|data| {
        let path = data.join("lightflow.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'variables'";
        let page: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
        drop(database);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let at = (page.unsigned_abs() - 1) * 4096;
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 4096], at).unwrap();
    });
    server
        .post("/api/v1/pools", json!({"name": "p", "slots": 1}))
        .expect(201);
    let server = server.crash_and_restart();
    wait_for("the damage", || {
        server
            .log()
            .contains("the database is damaged")
            .then_some(())
    });
    server.get("/readyz").expect(503);
}

#[test]
fn the_log_of_a_step_is_on_the_disk_when_its_step_ends() {
    let server = Server::start();
    server.shell_task("t", &[("s", "echo precious", json!({}))]);
    let trace = server.data().join("trace");
    let mut strace = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o"])
        .arg(&trace)
        .args(["-p", &server.pid().to_string()])
        .spawn()
        .expect("strace");
    wait_for("strace to follow", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        (!status.contains("TracerPid:\t0\n")).then_some(())
    });
    server.run_to_end("t");
    let pid = nix::unistd::Pid::from_raw(strace.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    strace.wait().unwrap();
    let text = std::fs::read_to_string(&trace).unwrap();
    let wrote = text.find("precious").unwrap();
    let synced = text
        .match_indices("fdatasync(")
        .find(|(at, _)| {
            text[*at..]
                .lines()
                .next()
                .unwrap()
                .contains("logs/1/1-1.0.log>")
        })
        .unwrap_or_else(|| panic!("{text}"))
        .0;
    assert!(wrote < synced, "{text}");
    // The commit that ends the run comes later.
    assert!(text[synced..].contains("lightflow.db-wal>"), "{text}");
}

#[test]
fn a_restored_snapshot_never_costs_the_log_of_a_new_run() {
    let mut server = Server::start();
    server.shell_task("t", &[("s", "echo old; echo $LIGHTFLOW_RUN_ID", json!({}))]);
    server.run_to_end("t");
    assert!(lightflow(server.data(), &["snapshot"]).status.success());
    for _ in 0..40 {
        server.run_to_end("t");
    }
    for round in 0..3 {
        server = server.restart_after(|data| {
            std::fs::copy(data.join("backup/lightflow.db"), data.join("lightflow.db")).unwrap();
            // So many stray logs that their removal takes its time.
            for stray in 2..60 {
                let folder = data.join(format!("logs/{stray}"));
                std::fs::create_dir_all(&folder).unwrap();
                for n in 0..40 {
                    std::fs::write(folder.join(format!("9-{n}.0.log")), "stray").unwrap();
                }
            }
        });
        let runs: Vec<i64> = (0..5)
            .map(|_| server.run_to_end("t")["id"].as_i64().unwrap())
            .collect();
        assert_eq!(runs[0], 2, "round {round}");
        wait_for("the strays to go", || {
            let names = std::fs::read_dir(server.data().join("logs")).unwrap();
            (names.count() == 6).then_some(())
        });
        for run in runs {
            assert_eq!(
                server.step_log(run, 0),
                format!("old\n{run}\n"),
                "round {round}"
            );
            let folder = std::fs::read_dir(server.data().join(format!("logs/{run}"))).unwrap();
            assert!(
                folder
                    .flatten()
                    .all(|entry| !entry.file_name().to_string_lossy().starts_with('9'))
            );
        }
    }
}
