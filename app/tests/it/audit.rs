//! The audit trail: every change leaves an entry, and no secret is in any.

use crate::harness::Server;
use serde_json::{Value, json};

fn entries(server: &Server, query: &str) -> Vec<Value> {
    let list = server
        .get(&format!("/api/v1/audit{query}"))
        .expect(200)
        .json();
    list["entries"].as_array().unwrap().clone()
}

fn change<'a>(entry: &'a Value, field: &str) -> &'a Value {
    let changes = entry["changes"].as_array().unwrap();
    let found = changes.iter().find(|change| change["field"] == field);
    found.unwrap_or_else(|| panic!("{field} in {entry}"))
}

#[test]
fn a_change_of_a_task_is_told_field_by_field() {
    let server = Server::start();
    server.shell_task("t", &[("sync", "true", json!({"timeout": 300}))]);
    let mut body = server.get("/api/v1/tasks/t").json();
    let made = server.post("/api/v1/tokens", json!({"name": "laptop", "role": "admin"}));
    let bearer = format!("Bearer {}", made.json()["token"].as_str().unwrap());
    let mut sent = json!({"name": "t", "steps": body["steps"].take()});
    sent["cron"] = json!("0 3 * * *");
    sent["steps"][0]["timeout"] = json!(600);
    let head = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let put = |sent: &Value| {
        let bytes = sent.to_string();
        server
            .network
            .send("PUT", "/api/v1/tasks/t", &head, bytes.as_bytes())
            .expect(200);
    };
    put(&sent);
    let list = entries(&server, "?kind=task&name=t");
    assert_eq!(list.len(), 2);
    let entry = &list[0];
    assert_eq!(entry["action"], "changed");
    assert_eq!(
        (&entry["actor_kind"], &entry["actor"]),
        (&json!("token"), &json!("laptop"))
    );
    assert_eq!(entry["address"], "127.0.0.1");
    assert_eq!(
        change(entry, "cron"),
        &json!({"field": "cron", "old": null, "new": "0 3 * * *"})
    );
    let timeout = change(entry, "steps.sync.timeout");
    assert_eq!(
        (&timeout["old"], &timeout["new"]),
        (&json!("300"), &json!("600"))
    );
    assert_eq!(entry["changes"].as_array().unwrap().len(), 2, "{entry}");
    assert_eq!(list[1]["action"], "added");
    assert_eq!(list[1]["actor_kind"], "local");
    // The same again is no change.
    put(&sent);
    assert_eq!(entries(&server, "?kind=task&name=t").len(), 2);
}

#[test]
fn what_was_refused_leaves_no_entry() {
    let server = Server::start();
    let before = entries(&server, "").len();
    server
        .post("/api/v1/pools", json!({"name": "default", "slots": 1}))
        .expect(409);
    server
        .json("DELETE", "/api/v1/pools/default", json!({}))
        .expect(409);
    server
        .post("/api/v1/import?dry_run=true", json!({}))
        .expect(400);
    let text = b"[pools]\nnew = 2\n";
    server
        .socket
        .send("POST", "/api/v1/import?dry_run=true", &[], text)
        .expect(200);
    assert_eq!(entries(&server, "").len(), before);
    server
        .socket
        .send("POST", "/api/v1/import", &[], text)
        .expect(200);
    assert_eq!(
        entries(&server, "?kind=pool&name=new")[0]["action"],
        "added"
    );
}

#[test]
fn no_secret_is_in_the_trail_and_one_that_becomes_secret_leaves_it() {
    let server = Server::start();
    let set = |value: &str, secret: bool| {
        let body = json!({"value": value, "secret": secret});
        server
            .json("PUT", "/api/v1/variables/TOKEN", body)
            .expect(200);
    };
    set("was-plain-1", false);
    set("was-plain-2", false);
    let plain = entries(&server, "?kind=variable");
    assert_eq!(change(&plain[0], "value")["old"], "was-plain-1");
    set("now-secret-3", true);
    set("now-secret-4", true);
    let user = json!({"name": "ann", "password": "correct-horse", "role": "admin"});
    server.post("/api/v1/users", user).expect(201);
    let password = json!({"password": "battery-staple"});
    server
        .json("PUT", "/api/v1/users/ann/password", password)
        .expect(204);
    let made = server.post("/api/v1/tokens", json!({"name": "x", "role": "viewer"}));
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let target = json!({"kind": "ntfy", "url": "http://127.0.0.1:9/SECRET-TOPIC"});
    server
        .post(
            "/api/v1/channels",
            json!({"name": "phone", "target": target}),
        )
        .expect(201);
    let target = json!({"kind": "ntfy", "url": "http://127.0.0.1:9/OTHER-TOPIC"});
    let body = json!({"name": "phone", "target": target});
    server
        .json("PUT", "/api/v1/channels/phone", body)
        .expect(200);
    let all = server.get("/api/v1/audit").expect(200).text();
    for secret in [
        "was-plain",
        "now-secret",
        "correct-horse",
        "battery-staple",
        &token,
        "TOPIC",
    ] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    let page = server.get("/settings/audit").expect(200).text();
    assert!(
        !page.contains("was-plain") && page.contains("••••"),
        "{page}"
    );
    let channel = &entries(&server, "?kind=notification")[0];
    assert_eq!(change(channel, "secrets")["new"], "••••");
}

#[test]
fn the_trail_is_read_page_by_page_and_by_what_is_asked_for() {
    let server = Server::start();
    for n in 0..5 {
        let pool = json!({"name": format!("p{n}"), "slots": 1});
        server.post("/api/v1/pools", pool).expect(201);
    }
    server.shell_task("t", &[("s", "true", json!({}))]);
    server.run_to_end("t");
    let first = server.get("/api/v1/audit?kind=pool&limit=2").json();
    assert_eq!(first["entries"][0]["name"], "p4");
    let next = format!(
        "/api/v1/audit?kind=pool&limit=2&before={}",
        first["next_before"]
    );
    let second = server.get(&next).json();
    assert_eq!(second["entries"][0]["name"], "p2");
    let run = &entries(&server, "?kind=run")[0];
    assert_eq!(run["action"], "started");
    assert_eq!(change(run, "task")["new"], "t");
    server.get("/api/v1/audit?kind=nonsense").expect(422);
    let page = server
        .get("/settings/audit?kind=pool&name=p3")
        .expect(200)
        .text();
    assert!(
        page.contains("/pools/p3") && !page.contains("/pools/p4"),
        "{page}"
    );
}

#[test]
fn the_command_line_reads_the_trail() {
    let server = Server::start();
    server
        .post("/api/v1/pools", json!({"name": "p", "slots": 3}))
        .expect(201);
    let output = crate::harness::command(server.data())
        .args(["audit", "--kind", "pool"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("added pool p") && text.contains("slots: – → 3"),
        "{text}"
    );
}

#[test]
fn no_run_starts_without_its_entry_in_the_trail() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let first = server.run_to_end("t")["id"].as_i64().unwrap();
    let put = server.socket.send(
        "PUT",
        "/api/v1/scripts/hello.sh",
        &[("Content-Type", "application/octet-stream")],
        b"#!/bin/sh\ntrue\n",
    );
    put.expect(200);
    let database = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    database
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON audit WHEN NEW.action = 'started'
             BEGIN SELECT RAISE(ABORT, 'no room for the entry'); END",
        )
        .unwrap();
    server.post("/api/v1/tasks/t/run", json!({})).expect(500);
    let retry = format!("/api/v1/runs/{first}/retry");
    server.post(&retry, json!({})).expect(500);
    let once = server.post("/api/v1/scripts/hello.sh/run", json!({"args": []}));
    once.expect(500);
    let runs = server.get("/api/v1/runs").json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs}");
    database.execute_batch("DROP TRIGGER full").unwrap();
    let second = server.trigger("t");
    assert!(second > first);
    let entry = &entries(&server, "?kind=run")[0];
    assert_eq!(entry["name"], second.to_string());
}
