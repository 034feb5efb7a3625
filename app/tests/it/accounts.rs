//! Users, API tokens, sessions: made, limited, used up and taken away.

use crate::harness::{Server, event, wait_for};
use crate::http::{Answer, Events};
use crate::people::{JSON, OURS, PASSWORD, add_user, cookies, make_token, try_log_in};
use serde_json::json;

const AGENT: (&str, &str) = ("User-Agent", "Firefox/1 (Linux)");

fn log_in(server: &Server, name: &str) -> String {
    cookies(&try_log_in(server, name, PASSWORD, &[AGENT]).expect(303))
}

fn as_session(server: &Server, cookie: &str, method: &str, path: &str, body: &str) -> Answer {
    let head = [JSON, OURS, AGENT, ("Cookie", cookie)];
    server.network.send(method, path, &head, body.as_bytes())
}

pub(crate) fn as_token(server: &Server, bearer: &str, method: &str, path: &str) -> Answer {
    let head = [("Authorization", bearer), JSON];
    let body: &[u8] = if method == "GET" { b"" } else { b"{}" };
    server.network.send(method, path, &head, body)
}

#[test]
fn the_last_admin_can_neither_go_nor_become_a_viewer() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    add_user(&server, "bob", "viewer");
    let demote = json!({"role": "viewer"});
    let refused = server.json("PATCH", "/api/v1/users/ann", demote.clone());
    assert!(refused.text().contains("last admin"), "{}", refused.text());
    assert_eq!(refused.status, 409);
    let refused = server.json("DELETE", "/api/v1/users/ann", json!({}));
    assert_eq!(refused.status, 409);
    let operator = json!({"role": "operator"});
    server
        .json("PATCH", "/api/v1/users/bob", operator)
        .expect(422);
    let promoted = server.json("PATCH", "/api/v1/users/bob", json!({"role": "admin"}));
    assert_eq!(promoted.expect(200).json()["role"], "admin");
    server
        .json("PATCH", "/api/v1/users/ann", demote)
        .expect(200);
    server
        .json("DELETE", "/api/v1/users/ann", json!({}))
        .expect(204);
}

#[test]
fn a_role_that_changed_holds_from_the_next_request_on() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    add_user(&server, "bob", "admin");
    let bob = log_in(&server, "bob");
    let pool = r#"{"name":"p","slots":1}"#;
    as_session(&server, &bob, "POST", "/api/v1/pools", pool).expect(201);
    server
        .json("PATCH", "/api/v1/users/bob", json!({"role": "viewer"}))
        .expect(200);
    as_session(&server, &bob, "DELETE", "/api/v1/pools/p", "").expect(403);
    as_session(&server, &bob, "GET", "/api/v1/pools", "").expect(200);
}

#[test]
fn ones_own_password_needs_the_present_one_and_ends_the_other_sessions() {
    let server = Server::start();
    add_user(&server, "ann", "viewer");
    let (here, elsewhere) = (log_in(&server, "ann"), log_in(&server, "ann"));
    let path = "/api/v1/account/password";
    let wrong = r#"{"current":"battery","password":"battery-staple"}"#;
    let refused = as_session(&server, &here, "PUT", path, wrong).expect(422);
    assert_eq!(refused.json()["errors"][0]["field"], "current");
    let short = r#"{"current":"correct-horse","password":"short"}"#;
    as_session(&server, &here, "PUT", path, short).expect(422);
    as_session(&server, &elsewhere, "GET", "/api/v1/tasks", "").expect(200);
    let right = r#"{"current":"correct-horse","password":"battery-staple"}"#;
    as_session(&server, &here, "PUT", path, right).expect(204);
    as_session(&server, &here, "GET", "/api/v1/tasks", "").expect(200);
    as_session(&server, &elsewhere, "GET", "/api/v1/tasks", "").expect(401);
    try_log_in(&server, "ann", "battery-staple", &[AGENT]).expect(303);
    // The command line has no password to change.
    server
        .json("PUT", path, json!({"current": "x", "password": "y"}))
        .expect(403);
}

#[test]
fn ending_a_session_cuts_its_open_stream() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    let cookie = log_in(&server, "ann");
    let head = [("Cookie", cookie.as_str()), AGENT];
    let mut events = Events::new(server.network.open("GET", "/api/v1/events", &head, b""));
    event(&mut events, |event| event.name == "hello");
    let list = as_session(&server, &cookie, "GET", "/api/v1/sessions", "").json();
    let session = &list["sessions"][0];
    assert_eq!(session["user"], "ann");
    assert_eq!(session["current"], true);
    assert_eq!(session["agent"], "Firefox/1 (Linux)");
    assert_eq!(session["address"], "127.0.0.1");
    let path = format!("/api/v1/sessions/{}", session["id"]);
    server.json("DELETE", &path, json!({})).expect(204);
    assert_eq!(
        events.find(|event| event.name != "hello"),
        None,
        "the stream ended"
    );
    as_session(&server, &cookie, "GET", "/api/v1/tasks", "").expect(401);
    server.json("DELETE", &path, json!({})).expect(404);
}

#[test]
fn a_viewer_sees_and_ends_the_own_sessions_only() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    add_user(&server, "bob", "viewer");
    log_in(&server, "ann");
    let (bob, second) = (log_in(&server, "bob"), log_in(&server, "bob"));
    let all = server.get("/api/v1/sessions").json();
    let of = |name: &str| {
        let all = all["sessions"].as_array().unwrap();
        let found = all.iter().filter(|session| session["user"] == name);
        found
            .map(|session| session["id"].clone())
            .collect::<Vec<_>>()
    };
    let seen = as_session(&server, &bob, "GET", "/api/v1/sessions", "").json();
    assert_eq!(seen["sessions"].as_array().unwrap().len(), 2);
    let foreign = format!("/api/v1/sessions/{}", of("ann")[0]);
    as_session(&server, &bob, "DELETE", &foreign, "").expect(404);
    for id in of("bob") {
        as_session(
            &server,
            &bob,
            "DELETE",
            &format!("/api/v1/sessions/{id}"),
            "",
        );
    }
    as_session(&server, &second, "GET", "/api/v1/tasks", "").expect(401);
}

#[test]
fn a_token_for_one_task_runs_and_watches_that_task_and_nothing_else() {
    let server = Server::start();
    for name in ["mine", "other"] {
        server.shell_task(name, &[("s", "echo seen", json!({}))]);
    }
    let other = server.run_to_end("other")["id"].as_i64().unwrap();
    let body = json!({"name": "bell", "role": "operator", "tasks": ["mine"]});
    let bell = make_token(&server, body);
    let head = [("Authorization", bell.as_str())];
    let mut events = Events::new(server.network.open("GET", "/api/v1/events", &head, b""));
    event(&mut events, |event| event.name == "hello");
    server.run_to_end("other");
    let started = as_token(&server, &bell, "POST", "/api/v1/tasks/mine/run").expect(202);
    let run = started.json()["run"].as_i64().unwrap();
    server.finished(run);
    let first = event(&mut events, |event| event.name == "run");
    assert_eq!(
        first.json()["task"],
        "mine",
        "runs of other tasks are not told"
    );
    for path in [
        "/api/v1/tasks/mine".to_owned(),
        "/api/v1/runs".to_owned(),
        format!("/api/v1/runs/{run}"),
        format!("/api/v1/runs/{run}/steps/0/log"),
    ] {
        as_token(&server, &bell, "GET", &path).expect(200);
    }
    let tasks = as_token(&server, &bell, "GET", "/api/v1/tasks").json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1);
    for (method, path) in [
        ("GET", "/api/v1/tasks/other".to_owned()),
        ("POST", "/api/v1/tasks/other/run".to_owned()),
        ("GET", "/api/v1/runs?task=other".to_owned()),
        ("GET", format!("/api/v1/runs/{other}")),
        ("GET", format!("/api/v1/runs/{other}/steps/0/log")),
        ("GET", format!("/api/v1/runs/{other}/steps/0/log/stream")),
        ("POST", format!("/api/v1/runs/{other}/cancel")),
        ("PATCH", "/api/v1/tasks/mine".to_owned()),
        ("GET", "/api/v1/variables".to_owned()),
        ("GET", "/api/v1/scripts".to_owned()),
        ("GET", "/api/v1/export".to_owned()),
        ("GET", "/api/v1/sessions".to_owned()),
        ("GET", "/metrics".to_owned()),
        ("GET", "/".to_owned()),
        ("GET", "/tasks/mine".to_owned()),
    ] {
        let answer = as_token(&server, &bell, method, &path);
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
    server
        .json("DELETE", "/api/v1/tasks/mine", json!({}))
        .expect(204);
    let tasks = as_token(&server, &bell, "GET", "/api/v1/tasks").json();
    assert_eq!(
        tasks["tasks"],
        json!([]),
        "a token without its task sees nothing"
    );
}

#[test]
fn a_token_that_may_look_starts_nothing_and_one_that_may_run_changes_nothing() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let look = make_token(&server, json!({"name": "look", "role": "viewer"}));
    let run = make_token(&server, json!({"name": "run", "role": "operator"}));
    as_token(&server, &look, "POST", "/api/v1/tasks/t/run").expect(403);
    as_token(&server, &look, "GET", "/metrics").expect(200);
    as_token(&server, &run, "POST", "/api/v1/tasks/t/run").expect(202);
    as_token(&server, &run, "PATCH", "/api/v1/tasks/t").expect(403);
    as_token(&server, &run, "GET", "/api/v1/tokens").expect(403);
}

#[test]
fn a_token_that_cannot_be_is_refused_with_a_reason() {
    let server = Server::start();
    for (body, field) in [
        (json!({"name": "x", "role": "root"}), "role"),
        (
            json!({"name": "x", "role": "admin", "tasks": ["t"]}),
            "tasks",
        ),
        (json!({"name": "x", "role": "viewer", "tasks": []}), "tasks"),
        (
            json!({"name": "x", "role": "viewer", "tasks": ["gone"]}),
            "tasks",
        ),
        (
            json!({"name": "x", "role": "viewer", "expires_in_days": 0}),
            "expires_in_days",
        ),
        (json!({"name": "", "role": "viewer"}), "name"),
    ] {
        let answer = server.post("/api/v1/tokens", body.clone());
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
    let tokens = server.get("/api/v1/tokens").json();
    assert_eq!(tokens["tokens"], json!([]));
}

#[test]
fn a_token_says_when_it_was_used_and_its_stream_ends_with_it() {
    let server = Server::start();
    let body = json!({"name": "my dashboard", "role": "viewer", "expires_in_days": 30});
    let bearer = make_token(&server, body);
    let shown = || server.get("/api/v1/tokens").json()["tokens"][0].clone();
    assert_eq!(shown()["used_at"], json!(null));
    assert!(shown()["expires_at"].is_string());
    let head = [("Authorization", bearer.as_str())];
    let mut events = Events::new(server.network.open("GET", "/api/v1/events", &head, b""));
    event(&mut events, |event| event.name == "hello");
    wait_for("the last use", || shown()["used_at"].as_str().map(drop));
    assert_eq!(shown()["used_from"], "127.0.0.1");
    assert!(!shown().to_string().contains(&bearer["Bearer ".len()..]));
    server
        .form("/settings/tokens/my%20dashboard/delete", &[])
        .expect(303);
    assert_eq!(
        events.find(|event| event.name != "hello"),
        None,
        "the stream ended"
    );
    as_token(&server, &bearer, "GET", "/api/v1/tasks").expect(401);
}

#[test]
fn guessing_becomes_slow_and_the_browser_of_the_owner_does_not() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    let known = log_in(&server, "ann");
    for _ in 0..5 {
        try_log_in(&server, "ann", "wrong-horse", &[AGENT]).expect(401);
    }
    let slowed = try_log_in(&server, "ann", "correct-horse", &[AGENT]).expect(429);
    let wait: u64 = slowed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(slowed.text().contains("too many wrong passwords"));
    assert!(
        slowed.text().contains("value=\"ann\""),
        "what was typed stays"
    );
    try_log_in(
        &server,
        "ann",
        "correct-horse",
        &[AGENT, ("Cookie", &known)],
    )
    .expect(303);
    // The same holds for the present password where one changes it.
    let noted = wait_for("the note of it", || {
        let audit = server.get("/api/v1/audit?kind=user&name=ann").json();
        let entries = audit["entries"].as_array()?.clone();
        entries
            .into_iter()
            .find(|entry| entry["action"] == "slowed down")
    });
    assert_eq!(noted["address"], "127.0.0.1");
}
