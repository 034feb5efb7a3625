//! Secrets stay secret: in logs after a change, in files that steps write, in imports, and in the memory of the server.

use crate::accounts::as_token;
use crate::harness::{BINARY, Server};
use crate::people::make_token;
use serde_json::json;
use std::process::Command;

fn set(server: &Server, key: &str, value: &str, secret: bool) {
    let body = json!({"value": value, "secret": secret});
    server
        .json("PUT", &format!("/api/v1/variables/{key}"), body)
        .expect(200);
}

#[test]
fn a_secret_that_changes_during_a_run_stays_masked_to_its_end_in_every_form() {
    let server = Server::start();
    set(&server, "KEY", "first-p4ss/word?", true);
    let keep = "printf %s \"$KEY\" > kept; touch up; while ! test -e on; do sleep 0.05; done";
    let print = "cat kept; echo; base64 kept; printf 'user:%s' \"$(cat kept)\" | base64; \
                 python3 -c 'import urllib.parse as u; print(u.quote(open(\"kept\").read(), safe=\"\"))'; echo now $KEY";
    server.shell_task("t", &[("a", keep, json!({})), ("b", print, json!({}))]);
    let run = server.trigger("t");
    let scripts = server.data().join("scripts");
    crate::harness::wait_for("the first step", || {
        scripts.join("up").exists().then_some(())
    });
    set(&server, "KEY", "second-value", true);
    std::fs::write(scripts.join("on"), "").unwrap();
    server.finished(run);
    let log = server.step_log(run, 1);
    assert_eq!(log.matches("••••").count(), 5, "{log}");
    for leak in ["first", "second", "Zmlyc3Q", "p4ss", "cDRzcy93"] {
        assert!(!log.contains(leak), "{leak} in {log}");
    }
    // The next run does not know the old value any more.
    server.shell_task("u", &[("s", "cat kept", json!({}))]);
    let next = server.run_to_end("u")["id"].as_i64().unwrap();
    assert_eq!(server.step_log(next, 0), "first-p4ss/word?");
}

#[test]
fn a_file_that_a_step_writes_is_no_script_until_an_admin_adopts_it() {
    let server = Server::start();
    set(&server, "KEY", "hunter2-long", true);
    let put = |name: &str, text: &str| {
        let path = format!("/api/v1/scripts/{name}");
        server
            .socket
            .send("PUT", &path, &[], text.as_bytes())
            .expect(200);
    };
    put("good.sh", "echo good\n");
    put("over.sh", "echo before\n");
    server.shell_task("t", &[("s", "env > debug.txt; env > over.sh", json!({}))]);
    server.run_to_end("t");
    let viewer = make_token(&server, json!({"name": "look", "role": "viewer"}));
    let get = |path: &str| as_token(&server, &viewer, "GET", path);
    for path in ["/api/v1/scripts/debug.txt", "/api/v1/scripts/over.sh"] {
        get(path).expect(404);
    }
    let list = get("/api/v1/scripts").expect(200).json();
    assert_eq!(list["scripts"].as_array().unwrap().len(), 1, "{list}");
    assert!(list.get("others").is_none(), "{list}");
    let export = server.get("/api/v1/export").expect(200).text();
    assert!(!export.contains("hunter2"), "{export}");
    assert!(export.contains("\"debug.txt\" is no script"), "{export}");
    assert!(
        export.contains("\"over.sh\" was changed outside"),
        "{export}"
    );
    let others = server.get("/api/v1/scripts").expect(200).json();
    assert_eq!(others["others"][0]["name"], "debug.txt");
    let page = server.get("/scripts").expect(200).text();
    assert!(page.contains("Adopt as script"), "{page}");
    // Writing over it puts its text into no version that viewers read.
    put("over.sh", "echo after\n");
    let versions = server.get("/scripts/over.sh/versions").expect(200).text();
    assert!(
        versions.contains("Version 2") && !versions.contains("Version 3"),
        "{versions}"
    );
    server.form("/scripts/debug.txt/adopt", &[]).expect(303);
    get("/api/v1/scripts/debug.txt").expect(200);
}

#[test]
fn an_import_keeps_secrets_pauses_and_every_byte_of_a_script() {
    let server = Server::start();
    set(&server, "KEY", "old-value", false);
    let bytes = [b'#', 0xff, 0xfe, 0, b'\n'];
    server
        .socket
        .send("PUT", "/api/v1/scripts/latin.py", &[], &bytes)
        .expect(200);
    for (name, auto) in [("on", true), ("off", false)] {
        let steps = json!([{"name": "s", "command": "true"}]);
        let body = json!({"name": name, "cron": "0 3 * * *", "auto": auto, "steps": steps});
        server.post("/api/v1/tasks", body).expect(201);
    }
    server
        .post("/api/v1/schedules/pause", json!({}))
        .expect(200);
    let text = server.get("/api/v1/export").expect(200).text();
    set(&server, "KEY", "new-secret", true);
    let import = |to: &Server| {
        to.socket
            .send("POST", "/api/v1/import", &[], text.as_bytes())
            .expect(200)
            .json()
    };
    let report = import(&server);
    let kept = json!({"kind": "variable", "name": "KEY", "change": "kept secret"});
    assert!(
        report["items"].as_array().unwrap().contains(&kept),
        "{report}"
    );
    let variable = server.get("/api/v1/variables/KEY").expect(200).json();
    assert_eq!(
        (&variable["secret"], &variable["value"]),
        (&json!(true), &json!(null))
    );

    let other = Server::start();
    import(&other);
    let script = other.get("/api/v1/scripts/latin.py").expect(200);
    assert_eq!(script.body, bytes);
    let auto = |name: &str| {
        other
            .get(&format!("/api/v1/tasks/{name}"))
            .expect(200)
            .json()["auto"]
            .clone()
    };
    assert_eq!((auto("on"), auto("off")), (json!(false), json!(false)));
    assert_eq!(other.get("/api/v1/export").expect(200).text(), text);
    other
        .post("/api/v1/schedules/resume", json!({}))
        .expect(200);
    assert_eq!((auto("on"), auto("off")), (json!(true), json!(false)));
}

#[test]
fn the_memory_of_the_server_is_in_no_core_dump_and_a_key_keeps_its_last_line() {
    let server = Server::start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(core.split_whitespace().nth(5), Some("0"), "{core}");
    let pem =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n";
    for (key, text, kept) in [("PEM", pem, pem.len()), ("WORD", "word\n", 4)] {
        let file = server.data().join("value");
        std::fs::write(&file, text).unwrap();
        let said = Command::new(BINARY)
            .env("LIGHTFLOW_DATA_DIR", server.data())
            .args(["variable", "edit", key, "--file", file.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
        let value = server
            .get(&format!("/api/v1/variables/{key}"))
            .expect(200)
            .json();
        assert_eq!(value["value"].as_str().unwrap().len(), kept, "{key}");
    }
}
