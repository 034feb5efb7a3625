//! The pages of scripts: the editor, its check of the syntax, versions, and a run to try out.

use crate::browser::{base, set_up};
use crate::harness::{Server, encoded};
use crate::webdriver::Browser;
use serde_json::json;

fn stored(server: &Server, name: &str) -> String {
    server
        .get(&format!("/api/v1/scripts/{name}"))
        .expect(200)
        .text()
}

#[test]
fn a_script_is_saved_with_unix_lines_and_its_versions_come_back() {
    let server = Server::start();
    let first = [("name", "a.sh"), ("text", "echo one\r\n"), ("base", "0")];
    let added = server.form("/add/script", &first).expect(303);
    assert_eq!(added.header("location"), Some("/scripts/a.sh#saved"));
    assert_eq!(stored(&server, "a.sh"), "echo one\n");
    let second = [("text", "echo '<b>two</b>'\r\n"), ("base", "1")];
    server.form("/scripts/a.sh", &second).expect(303);
    let changed = server.get("/scripts/a.sh/versions/1").expect(200).text();
    assert!(changed.contains("</span>echo one"), "{changed}");
    assert!(changed.contains("echo &#39;&#60;b&#62;two"), "{changed}");
    server
        .form("/scripts/a.sh/versions/1/restore", &[])
        .expect(303);
    assert_eq!(stored(&server, "a.sh"), "echo one\n");
    let list = server.get("/scripts/a.sh/versions").text();
    assert!(list.contains("Version 3"), "{list}");
    server.form("/scripts/a.sh/delete", &[]).expect(303);
    server.get("/scripts/a.sh").expect(404);
    server.get("/scripts/a.sh/versions/1").expect(404);
}

#[test]
fn what_the_interpreter_cannot_read_is_saved_only_on_demand() {
    let server = Server::start();
    let text = "if true; then\n";
    let fields = [("name", "bad.sh"), ("text", text), ("base", "0")];
    let page = server.form("/add/script", &fields).expect(422).text();
    assert!(page.contains("data-wrong"), "{page}");
    assert!(
        page.contains("if true; then"),
        "what was typed stays: {page}"
    );
    server.get("/api/v1/scripts/bad.sh").expect(404);
    let mut insisting = fields.to_vec();
    insisting.push(("do", "insist"));
    server.form("/add/script", &insisting).expect(303);
    assert_eq!(stored(&server, "bad.sh"), text);
}

#[test]
fn two_people_do_not_overwrite_each_other_unawares() {
    let server = Server::start();
    let save =
        |text: &str, base: &str| server.form("/scripts/a.sh", &[("text", text), ("base", base)]);
    save("echo ann\n", "0").expect(303);
    let page = save("echo bob\n", "0").expect(422).text();
    assert!(page.contains("another person or program saved"), "{page}");
    assert!(page.contains("echo bob"), "{page}");
    assert_eq!(stored(&server, "a.sh"), "echo ann\n");
    save("echo bob\n", "1").expect(303);
}

#[test]
fn a_script_is_tried_out_with_arguments_and_all_variables() {
    let server = Server::start();
    let value = json!({"value": "there"});
    server
        .json("PUT", "/api/v1/variables/HELLO", value)
        .expect(200);
    let text = "#!/bin/sh -e\necho \"$1|$2|$HELLO\"\n";
    let fields = [("name", "try"), ("text", text), ("base", "0")];
    server.form("/add/script", &fields).expect(303);
    let path = "/scripts/try/run";
    let started = server
        .form(path, &[("args", "one 'two words'")])
        .expect(303);
    assert_eq!(started.header("location"), Some("/runs/1"));
    assert_eq!(server.finished(1)["state"], "success");
    assert_eq!(server.step_log(1, 0), "one|two words|there\n");
    // A refused run keeps the typed values.
    let page = server.form(path, &[("args", "'open")]).expect(422).text();
    assert!(page.contains("id=\"refused-args\""), "{page}");
    assert!(page.contains("&#39;open"), "{page}");
}

#[test]
fn a_viewer_reads_scripts_and_changes_none() {
    let server = Server::start();
    let fields = [("name", "a.sh"), ("text", "echo\n"), ("base", "0")];
    server.form("/add/script", &fields).expect(303);
    let made = server.post("/api/v1/tokens", json!({"name": "v", "role": "viewer"}));
    let bearer = format!("Bearer {}", made.json()["token"].as_str().unwrap());
    let head = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let page = server.network.send("GET", "/scripts/a.sh", &head, b"");
    assert!(page.expect(200).text().contains("readonly"));
    let body = encoded(&[("name", "b.sh"), ("text", "x"), ("base", "1")]);
    for path in [
        "/add/script",
        "/scripts/a.sh",
        "/scripts/a.sh/run",
        "/scripts/a.sh/delete",
        "/scripts/a.sh/versions/1/restore",
        "/api/v1/scripts/a.sh/run",
    ] {
        let answer = server.network.send("POST", path, &head, body.as_bytes());
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[test]
fn a_path_is_no_script() {
    let server = Server::start();
    let fields = [("name", "../x.sh"), ("text", "echo\n"), ("base", "0")];
    let page = server.form("/add/script", &fields).expect(422).text();
    assert!(page.contains("is a path"), "{page}");
    for path in ["/scripts/..%2Flightflow.db", "/scripts/..%2Fx/versions/1"] {
        assert!(server.get(path).status >= 400, "{path}");
    }
}

#[test]
fn the_editor_indents_finds_and_saves_by_key() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    set_up(&server, &browser);
    browser.goto(&format!("{}/add/script", base(&server)));
    browser.type_into("input[name=name]", "a.sh");
    browser.type_into("[data-editor]", "f() {\necho one\n");
    let text = || browser.script("return document.querySelector('[data-editor]').value");
    // The line after the brace is indented, and the one after that keeps it.
    assert_eq!(text(), json!("f() {\n    echo one\n    "));
    browser.press(&["\u{E008}", "\u{E004}"]);
    assert_eq!(text(), json!("f() {\n    echo one\n"));
    browser.press(&["}"]);
    let numbers = browser.script("return document.querySelector('[data-numbers]').textContent");
    assert_eq!(numbers, json!("1\n2\n3"));
    browser.press(&["\u{E009}", "f"]);
    browser.type_into("#find", "one");
    browser.wait_text("[data-found]", "1 of 1, line 2");
    browser.press(&["\u{E009}", "s"]);
    browser.wait_text("h1", "a.sh");
    assert_eq!(stored(&server, "a.sh"), "f() {\n    echo one\n}");
}
