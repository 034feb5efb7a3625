//! The output of a step: masked, bounded, kept as it is, and never in the way of the step.

use crate::harness::{Server, states, wait_for};
use serde_json::json;

#[test]
fn secrets_are_masked_in_logs_also_line_by_line() {
    let server = Server::start();
    let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAAB3NzaC1yc2E\nQyNTUxOQAAACD\n-----END OPENSSH PRIVATE KEY-----\n";
    server
        .json(
            "PUT",
            "/api/v1/variables/KEY",
            json!({"value": pem, "secret": true}),
        )
        .expect(200);
    server
        .json(
            "PUT",
            "/api/v1/variables/PIN",
            json!({"value": "hunter2", "secret": true}),
        )
        .expect(200);
    let script = r#"printf 'pin hun'; sleep 0.1; echo 'ter2!'; echo "$KEY" | while read l; do echo "<$l>"; done; echo ${#KEY}"#;
    server.shell_task("t", &[("s", script, json!({}))]);
    server.run_to_end("t");
    let log = server.step_log(1, 0);
    assert!(log.starts_with("pin ••••!\n<••••>\n<••••>\n"), "{log}");
    for hidden in ["hunter2", "AAAAB3", "QyNTU"] {
        assert!(!log.contains(hidden), "{log}");
    }
    assert!(
        log.contains(&format!("\n{}\n", pem.len())),
        "the step itself has the value: {log}"
    );
    let database = std::fs::read(server.data().join("lightflow.db-wal")).unwrap();
    assert!(!String::from_utf8_lossy(&database).contains("hunter2"));
    let shown = server.get("/api/v1/variables/PIN").json();
    assert_eq!(shown["value"], json!(null));
}

#[test]
fn a_burst_of_output_fills_neither_memory_nor_disk() {
    let server = Server::start_with(&[("LIGHTFLOW_LOG_LIMIT", "1048576")]);
    server.shell_task("t", &[("warm", "echo up", json!({}))]);
    server.run_to_end("t");
    let before = rss_kib(server.pid());
    server.shell_task(
        "burst",
        &[(
            "s",
            "yes 0123456789abcdef | head -c 200000000; echo; echo the end",
            json!({}),
        )],
    );
    let run = server.run_to_end("burst");
    assert_eq!(run["state"], "success");
    let grown = rss_kib(server.pid()).saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    assert!(log.len() <= 1_100_000, "{}", log.len());
    assert!(log.ends_with("\nthe end\n"));
    assert!(
        log.contains("bytes were not kept: the log passed its limit"),
        "no mark"
    );
    let stored: u64 = std::fs::read_dir(server.data().join("logs").join(run["id"].to_string()))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(stored <= 1_048_576, "{stored}");
}

fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn bytes_are_captured_as_they_are() {
    let server = Server::start();
    server.shell_task(
        "t",
        &[(
            "s",
            "printf 'a\\000\\377\\r\\nb'; printf err >&2",
            json!({}),
        )],
    );
    server.run_to_end("t");
    let log = server.get("/api/v1/runs/1/steps/0/log").expect(200);
    assert_eq!(log.body, b"a\0\xff\r\nberr");
}

#[test]
fn a_step_whose_log_cannot_be_written_runs_all_the_same() {
    let server = Server::start();
    let go = server.data().join("go");
    let back = server.data().join("back");
    let wait = format!(
        "echo here; while ! test -e {}; do sleep 0.02; done",
        go.display()
    );
    let start = format!("echo up > {}", back.display());
    server.shell_task(
        "t",
        &[
            ("stop", &wait, json!({})),
            ("start", &start, json!({"rule": "always"})),
        ],
    );
    let run = server.trigger("t");
    let logs = server.data().join("logs/1");
    wait_for("the log", || logs.join("1-1.0.log").exists().then_some(()));
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "in the way").unwrap();
    std::fs::write(go, "").unwrap();
    assert_eq!(states(&server.finished(run)), ["success", "success"]);
    assert_eq!(std::fs::read_to_string(back).unwrap(), "up\n");
}

#[test]
fn a_stranger_who_holds_the_log_open_holds_up_nothing() {
    let server = Server::start();
    let mark = server.data().join("pid");
    let go = server.data().join("go");
    let script = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; while ! test -e {1}; do sleep 0.02; done; echo last words",
        mark.display(),
        go.display()
    );
    server.shell_task("t", &[("s", &script, json!({}))]);
    let run = server.trigger("t");
    let pid = wait_for("the step", || std::fs::read_to_string(&mark).ok());
    let held = std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{}/fd/1", pid.trim()))
        .unwrap();
    std::fs::write(go, "").unwrap();
    // `held` stays open until the last line of this test.
    assert_eq!(server.finished(run)["state"], "success");
    assert_eq!(server.step_log(run, 0), "last words\n");
    drop(held);
}
