//! Results of rehearsals (`result:` lines of kind `proof`): in the API, in the metrics, and at all tasks of the service; and the ready
//! script and task that ask for a rehearsal.

use crate::harness::{Server, command, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A shell command that prints the result of a rehearsal.
fn rehearsed(subject: &str, at: &str, proven: bool, started: &str) -> String {
    let finding = if proven {
        "null"
    } else {
        "\"data/app.db: damaged\""
    };
    format!(
        r#"echo 'result: {{"version":1,"kind":"proof","subject":"{subject}","remote":"a:/B","copy":"archive","name":"{subject}-2026-11-22.tar.gz","at":"{at}","proven":{proven},"finding":{finding},"findings":0,"percent":100,"covered":100,"files":3,"bytes":9,"databases":2,"clusters":0,"started":"{started}","reason":null}}'"#
    )
}

const ARCHIVED: &str = r#"echo 'result: {"version":1,"kind":"archive","subject":"n8n","name":"n8n-2026-11-22.tar.gz","bytes":9,"files":3,"sha256":"aa","checked":"hash"}'"#;

fn metric(server: &Server, line: &str) -> bool {
    let text = server.get("/metrics").expect(200).text();
    text.lines().any(|one| one == line)
}

#[test]
fn a_proof_stands_at_its_step_and_at_each_task_of_the_service() {
    let server = Server::start();
    server.shell_task("backup_n8n", &[("archive", ARCHIVED, json!({}))]);
    server.shell_task(
        "backup_other",
        &[("archive", &ARCHIVED.replace("n8n", "other"), json!({}))],
    );
    for task in ["backup_n8n", "backup_other"] {
        assert_eq!(server.run_to_end(task)["state"], "success");
    }
    let good = rehearsed("n8n", "2026-03-01T04:00:00Z", true, "healthy");
    server.shell_task("rehearse_n8n", &[("rehearse", &good, json!({}))]);
    let run = server.run_to_end("rehearse_n8n");
    let proof = &run["steps"][0]["proof"];
    assert_eq!(
        (&proof["proven"], &proof["databases"]),
        (&true.into(), &2.into())
    );
    assert_eq!(
        (&proof["copy"], &proof["started"]),
        (&"archive".into(), &"healthy".into())
    );
    for task in ["backup_n8n", "rehearse_n8n"] {
        for line in [
            format!("lightflow_task_proof_timestamp_seconds{{task=\"{task}\"}} 1772337600"),
            format!("lightflow_task_proven{{task=\"{task}\"}} 1"),
        ] {
            assert!(metric(&server, &line), "{line}");
        }
    }
    let text = server.get("/metrics").expect(200).text();
    assert!(!text.contains("lightflow_task_proven{task=\"backup_other\"}"));
    let page = server.get("/").expect(200).text();
    assert!(page.contains(">Proven</th>"), "{page}");
    assert_eq!(
        page.matches("archive n8n-2026-11-22.tar.gz: digests, 2 databases, started")
            .count(),
        2
    );
    // A fault is the newest result; the time of the last proof stays.
    let bad = rehearsed("n8n", "2026-03-02T04:00:00Z", false, "impossible");
    server.shell_task(
        "again",
        &[("rehearse", &format!("{bad}; exit 65"), json!({}))],
    );
    let run = server.run_to_end("again");
    assert_eq!(run["state"], "failed");
    assert_eq!(run["steps"][0]["proof"]["finding"], "data/app.db: damaged");
    let server = server.restart();
    for line in [
        "lightflow_task_proof_timestamp_seconds{task=\"backup_n8n\"} 1772337600",
        "lightflow_task_proven{task=\"backup_n8n\"} 0",
    ] {
        assert!(metric(&server, line), "{line}");
    }
    let page = server.get("/").expect(200).text();
    assert_eq!(page.matches(">not proven</strong>").count(), 3, "{page}");
    assert!(page.contains("data/app.db: damaged"));
}

#[test]
fn a_server_without_rehearsals_has_no_column_for_them_and_an_old_proof_is_overdue() {
    let server = Server::start();
    server.shell_task("backup_n8n", &[("archive", ARCHIVED, json!({}))]);
    server.run_to_end("backup_n8n");
    assert!(!server.get("/").expect(200).text().contains(">Proven</th>"));
    let old = rehearsed("n8n", "2020-03-01T04:00:00Z", true, "healthy");
    server.shell_task("rehearse_n8n", &[("rehearse", &old, json!({}))]);
    server.run_to_end("rehearse_n8n");
    let page = server.get("/").expect(200).text();
    assert_eq!(page.matches(">overdue</strong>").count(), 2, "{page}");
}

#[test]
fn the_template_brings_its_script_and_asks_the_host() {
    let server = Server::start();
    let ran = |line: &str| {
        let words = line.split(' ');
        let output = command(server.data()).args(words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        told
    };
    ran("pool create backup --slots 1");
    let told = ran("task create rehearse_n8n --rehearsal-of n8n");
    assert!(told.contains("script rehearse.py created"), "{told}");
    let task = server.get("/api/v1/tasks/rehearse_n8n").expect(200).json();
    assert_eq!(task["steps"][0]["name"], "rehearse");
    assert_eq!(task["cron"], "0 12 * * 6");
    // A script of that name stays as a person left it.
    let script = server.data().join("scripts/rehearse.py");
    let text = fs::read_to_string(&script).unwrap();
    assert!(!ran("task create second --rehearsal-of n8n").contains("created"));
    assert_eq!(fs::read_to_string(&script).unwrap(), text);

    // An ssh that tells its arguments, the key and the request.
    let bin = server.data().join("bin");
    fs::create_dir(&bin).unwrap();
    let ssh = bin.join("ssh");
    let good = rehearsed("n8n", "2026-03-01T04:00:00Z", true, "healthy");
    fs::write(
        &ssh,
        format!("#!/bin/sh\nstat -c 'mode %a' \"$2\"\nhead -n 1 \"$2\"\nwc -l < \"$2\"\nfor word; do echo \"word $word\"; done\n{good}\nexit 65\n"),
    )
    .unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let body = "A".repeat(140);
    let key =
        format!("-----BEGIN OPENSSH PRIVATE KEY----- {body} -----END OPENSSH PRIVATE KEY-----");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    for (name, value) in [
        ("BACKUP_HOST", "backup_ops@host"),
        ("BACKUP_SSH_KEY", &key),
        ("BACKUP_KNOWN_HOSTS", "host ssh-ed25519 AAAA"),
        ("PATH", &path),
    ] {
        let variable = json!({"value": value, "secret": false});
        let url = format!("/api/v1/variables/{name}");
        server.json("PUT", &url, variable).expect(200);
    }
    let run = server.run_to_end("rehearse_n8n");
    assert_eq!(
        (&run["state"], &run["steps"][0]["exit_code"]),
        (&"failed".into(), &65.into())
    );
    assert_eq!(run["steps"][0]["proof"]["proven"], Value::from(true));
    let id = run["id"].as_i64().unwrap();
    let log = wait_for("the log", || {
        let log = server.step_log(id, 0);
        log.contains("word backupctl").then_some(log)
    });
    for line in [
        "mode 600",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "4",
        "word backup_ops@host",
        "word backupctl --rehearse n8n --timeout 14340",
    ] {
        assert!(log.lines().any(|one| one == line), "{line}: {log}");
    }
}
