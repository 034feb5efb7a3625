//! No edit is lost in silence: two tabs, a session that ends, and a choice that contradicts itself.

use crate::harness::{Server, encoded};
use crate::people::{FORM, OURS, PASSWORD, add_user, cookies, log_in};
use serde_json::json;

fn task(command: &str) -> serde_json::Value {
    json!({"name": "t", "steps": [{"name": "s", "command": command}]})
}

/// The fields of the form of the task `t`, as a browser sends them back.
fn task_fields<'a>(base: &'a str, command: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("base", base),
        ("name", "t"),
        ("pool", "default"),
        ("on_missed", "run_once"),
        ("keep_runs", "30"),
        ("keep_days", "90"),
        ("step.name", "s"),
        ("step.command", command),
        ("step.rule", "on_success"),
        ("step.timeout", "3600"),
        ("step.retries", "0"),
        ("step.retry_delay", "0"),
    ]
}

/// The hidden field `base` of a page.
fn base(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"base\" value=\"").unwrap();
    rest.split('"').next().unwrap().replace("&#34;", "\"")
}

#[test]
fn the_api_changes_only_the_version_that_was_read() {
    let server = Server::start();
    server.post("/api/v1/tasks", task("true")).expect(201);
    let variable = json!({"value": "one"});
    server
        .json("PUT", "/api/v1/variables/A", variable)
        .expect(200);
    for (path, change, other) in [
        ("/api/v1/tasks/t", task("false"), task("env")),
        (
            "/api/v1/variables/A",
            json!({"value": "two"}),
            json!({"value": "three"}),
        ),
    ] {
        let tag = server
            .get(path)
            .expect(200)
            .header("etag")
            .unwrap()
            .to_owned();
        let put = |tag: &str, body: &serde_json::Value| {
            let head = [("Content-Type", "application/json"), ("If-Match", tag)];
            server
                .socket
                .send("PUT", path, &head, body.to_string().as_bytes())
        };
        let new = put(&tag, &change)
            .expect(200)
            .header("etag")
            .unwrap()
            .to_owned();
        assert_ne!(new, tag);
        let refused = put(&tag, &other).expect(412);
        assert_eq!(refused.json()["type"], "urn:lightflow:problem:overtaken");
        let head = [("If-Match", tag.as_str())];
        server.socket.send("DELETE", path, &head, b"").expect(412);
        assert_eq!(
            server.get(path).expect(200).header("etag"),
            Some(new.as_str())
        );
        // A client that does not ask for it is not guarded.
        put("*", &other).expect(200);
        server.json("PUT", path, change).expect(200);
    }
    let run = server.run_to_end("t");
    assert_eq!(run["state"], "failed");
}

#[test]
fn the_second_tab_sees_both_versions_of_a_task_and_decides() {
    let server = Server::start();
    server.post("/api/v1/tasks", task("true")).expect(201);
    let old = base(&server.get("/tasks/t/edit").expect(200).text());
    server
        .form("/tasks/t/edit", &task_fields(&old, "first-tab"))
        .expect(303);
    let page = server
        .form("/tasks/t/edit", &task_fields(&old, "second-tab"))
        .expect(422)
        .text();
    for text in [
        "another person or program changed this task",
        "first-tab",
        "second-tab",
        "Save my version",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let stored = || server.get("/api/v1/tasks/t").json()["steps"][0]["command"].clone();
    assert_eq!(stored(), "first-tab");
    server
        .form("/tasks/t/edit", &task_fields(&base(&page), "second-tab"))
        .expect(303);
    assert_eq!(stored(), "second-tab");
}

#[test]
fn the_second_tab_sees_both_values_of_a_variable() {
    let server = Server::start();
    server
        .form("/add/variable", &[("key", "A"), ("value", "one")])
        .expect(303);
    let old = base(&server.get("/variables/A").expect(200).text());
    let save =
        |base: &str, value: &str| server.form("/variables/A", &[("base", base), ("value", value)]);
    save(&old, "first tab").expect(303);
    let page = save(&old, "second tab").expect(422).text();
    assert!(
        page.contains("first tab") && page.contains("second tab"),
        "{page}"
    );
    assert_eq!(
        server.get("/api/v1/variables/A").json()["value"],
        "first tab"
    );
    save(&base(&page), "second tab").expect(303);
    // A secret of the other tab stays one.
    let old = base(&server.get("/variables/A").expect(200).text());
    server
        .form(
            "/variables/A",
            &[("base", &old), ("value", "hidden-value"), ("secret", "yes")],
        )
        .expect(303);
    let page = save(&old, "mine").expect(422).text();
    assert!(
        !page.contains("hidden-value") && page.contains("is secret"),
        "{page}"
    );
}

#[test]
fn a_form_that_came_without_a_session_is_saved_after_the_login() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    let typed = encoded(&[("key", "A"), ("value", "line one\nline <two>")]);
    let page = server
        .network
        .send("POST", "/add/variable", &[FORM, OURS], typed.as_bytes())
        .expect(401)
        .text();
    assert!(page.contains("Your session has ended"), "{page}");
    let hidden = |page: &str, name: &str| {
        let (_, rest) = page
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        let text = rest.split('"').next().unwrap().to_owned();
        text.replace("&#38;", "&").replace("&#60;", "<")
    };
    let (next, kept) = (hidden(&page, "next"), hidden(&page, "kept"));
    let login = encoded(&[
        ("name", "ann"),
        ("password", PASSWORD),
        ("next", &next),
        ("kept", &kept),
    ]);
    let answer = server
        .network
        .send("POST", "/login", &[FORM, OURS], login.as_bytes())
        .expect(200);
    let page = answer.text();
    assert!(page.contains("action=\"/add/variable\""), "{page}");
    assert!(
        page.contains("line one\nline &#60;two&#62;</textarea>"),
        "{page}"
    );
    let cookies = cookies(&answer);
    let head = [FORM, OURS, ("Cookie", cookies.as_str())];
    server
        .network
        .send("POST", &next, &head, typed.as_bytes())
        .expect(303);
    assert_eq!(
        server.get("/api/v1/variables/A").json()["value"],
        "line one\nline <two>"
    );
    // A form that is too large is not kept, and the page says so.
    let large = format!("text={}", "x".repeat(100_000));
    let page = server
        .network
        .send("POST", "/add/script", &[FORM, OURS], large.as_bytes())
        .expect(401);
    assert!(page.text().contains("too large to be kept"));
}

#[test]
fn a_login_leads_to_the_page_that_was_asked_for() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    let ask = |path: &str| server.network.send("GET", path, &[], b"").expect(303);
    assert_eq!(
        ask("/runs/5?step=2").header("location"),
        Some("/login?next=%2Fruns%2F5%3Fstep%3D2")
    );
    assert_eq!(ask("/").header("location"), Some("/login"));
    let page = server
        .network
        .send("GET", "/login?next=%2Fruns%2F5%3Fstep%3D2", &[], b"")
        .expect(200);
    assert!(
        page.text()
            .contains("name=\"next\" value=\"/runs/5?step=2\"")
    );
    for (next, to) in [
        ("/runs/5?step=2", "/runs/5?step=2"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ] {
        let login = encoded(&[("name", "ann"), ("password", PASSWORD), ("next", next)]);
        let answer = server
            .network
            .send("POST", "/login", &[FORM, OURS], login.as_bytes())
            .expect(303);
        assert_eq!(answer.header("location"), Some(to), "{next}");
    }
    log_in(&server, "ann");
}

#[test]
fn a_ticked_task_beside_everything_is_refused() {
    let server = Server::start();
    server.post("/api/v1/tasks", task("true")).expect(201);
    let token = [
        ("name", "x"),
        ("role", "operator"),
        ("scope", "all"),
        ("task", "t"),
        ("days", ""),
    ];
    let page = server.form("/add/token", &token).expect(422).text();
    assert!(page.contains("1 ticked, but"), "{page}");
    let channel = [
        ("kind", "ntfy"),
        ("name", "x"),
        ("url", "http://127.0.0.1:9/t"),
        ("failure", "yes"),
        ("scope", "all"),
        ("task", "t"),
    ];
    let page = server
        .form("/add/notification", &channel)
        .expect(422)
        .text();
    assert!(
        page.contains("1 ticked, but") && page.contains("value=\"t\" checked"),
        "{page}"
    );
    assert_eq!(server.get("/api/v1/tokens").json()["tokens"], json!([]));
    assert_eq!(server.get("/api/v1/channels").json()["channels"], json!([]));
}
