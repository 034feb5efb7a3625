//! A file system without space or inodes: changes are refused with the reason, runs go on, and space ends the trouble.

use crate::harness::{Server, states, wait_for};
use crate::http::Answer;
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A small file system of its own, until it is dropped.
struct SmallDisk(Arc<tempfile::TempDir>);

impl SmallDisk {
    /// None where nothing can be mounted.
    fn mount(options: &str) -> Option<Self> {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: a small file system cannot be mounted here");
        }
        mounted.then_some(Self(dir))
    }

    fn server(&self) -> Server {
        Server::start_in(self.0.clone())
    }

    /// Takes all space, until the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        path
    }

    /// Takes all inodes, until the folder is removed.
    fn take_inodes(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        fs::create_dir(&path).unwrap();
        let mut number = 0;
        while File::create(path.join(number.to_string())).is_ok() {
            number += 1;
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

/// A task with a step that waits for `go`, and an `always` step; both files are outside of the full disk.
fn backup(server: &Server, outside: &Path) {
    let (go, started) = (outside.join("go"), outside.join("started"));
    server.shell_task(
        "backup",
        &[
            (
                "sync",
                &format!("while ! test -e {}; do sleep 0.02; done", go.display()),
                json!({}),
            ),
            (
                "start",
                &format!("echo up; echo up > {}", started.display()),
                json!({"rule": "always"}),
            ),
        ],
    );
}

/// Changes a variable until the log of changes has no room left.
fn refused(server: &Server) -> Answer {
    wait_for("a refused change", || {
        let body = json!({"value": "x".repeat(50_000)});
        Some(server.json("PUT", "/api/v1/variables/LARGE", body)).filter(|a| a.status != 200)
    })
}

/// Adds a script.
fn new_script(server: &Server) -> Answer {
    let kind = [("content-type", "application/octet-stream")];
    let path = "/api/v1/scripts/new.py";
    server
        .socket
        .send("PUT", path, &kind, "# ".repeat(5_000).as_bytes())
}

fn no_space(answer: &Answer) {
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert!(answer.text().contains("no-space"), "{}", answer.text());
}

#[test]
fn a_full_disk_is_told_everywhere_and_stops_no_run() {
    let Some(disk) = SmallDisk::mount("size=12m") else {
        return;
    };
    let server = disk.server();
    let outside = tempfile::tempdir().unwrap();
    backup(&server, outside.path());
    server.shell_task("other", &[("s", "true", json!({}))]);
    let run = server.trigger("backup");
    server.step_is(run, 0, "running");
    let filler = disk.fill();
    no_space(&refused(&server));
    no_space(&new_script(&server));
    no_space(&server.post("/api/v1/tasks/other/run", json!({})));
    let why = "The database cannot be written: the disk is full";
    let answer = server.get("/readyz");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains(why), "{}", answer.text());
    assert!(server.get("/").expect(200).text().contains(why));
    let metrics = server.get("/metrics").expect(200).text();
    assert!(metrics.contains("\nlightflow_database_writable 0\n"));
    fs::write(outside.path().join("go"), "").unwrap();
    wait_for("the always step", || {
        outside.path().join("started").exists().then_some(())
    });
    fs::remove_file(filler).unwrap();
    let run = server.finished(run);
    assert_eq!(states(&run), ["success", "success"]);
    wait_for("the server to be ready", || {
        (server.get("/readyz").status == 200).then_some(())
    });
    assert!(!server.get("/").expect(200).text().contains(why));
    server.run_to_end("other");
}

#[test]
fn a_start_on_a_full_disk_still_runs_what_is_owed() {
    let Some(disk) = SmallDisk::mount("size=12m") else {
        return;
    };
    let server = disk.server();
    let outside = tempfile::tempdir().unwrap();
    backup(&server, outside.path());
    let run = server.trigger("backup");
    server.step_is(run, 0, "running");
    let mut filler = PathBuf::new();
    let server = server.crash_and_change(|_| filler = disk.fill());
    wait_for("the always step", || {
        outside.path().join("started").exists().then_some(())
    });
    fs::remove_file(filler).unwrap();
    let run = server.finished(run);
    assert_eq!(states(&run), ["interrupted", "success"]);
}

#[test]
fn without_inodes_steps_run_and_changes_say_why_they_are_refused() {
    let Some(disk) = SmallDisk::mount("size=12m,nr_inodes=60") else {
        return;
    };
    let server = disk.server();
    let outside = tempfile::tempdir().unwrap();
    backup(&server, outside.path());
    let run = server.trigger("backup");
    server.step_is(run, 0, "running");
    let filler = disk.take_inodes();
    no_space(&new_script(&server));
    fs::write(outside.path().join("go"), "").unwrap();
    let run = server.finished(run);
    assert_eq!(states(&run), ["success", "success"]);
    assert!(outside.path().join("started").exists());
    fs::remove_dir_all(filler).unwrap();
    let run = server.run_to_end("backup");
    assert_eq!(states(&run), ["success", "success"]);
}
