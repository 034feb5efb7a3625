//! Permissions: tokens, roles and sessions, and the link of the first start.

use crate::harness::Server;
use crate::http::Answer;
use crate::people::{FORM, OURS, cookies, token, try_log_in};
use serde_json::json;

fn network(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    server.network.send(method, path, headers, body.as_bytes())
}

#[test]
fn nothing_is_shown_to_strangers() {
    let server = Server::start();
    for path in [
        "/api/v1/tasks",
        "/api/v1/runs",
        "/api/v1/variables",
        "/api/v1/events",
        "/api/v1/export",
        "/metrics",
    ] {
        let answer = network(&server, "GET", path, &[], "").expect(401);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{path}"
        );
    }
    let answer = network(&server, "GET", "/", &[], "").expect(303);
    assert_eq!(answer.header("location"), Some("/login"));
    network(&server, "GET", "/healthz", &[], "").expect(200);
    let wrong = [("Authorization", "Bearer lf_0000")];
    network(&server, "GET", "/api/v1/tasks", &wrong, "").expect(401);
}

#[test]
fn a_viewer_may_look_and_change_nothing() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let viewer = token(&server, "viewer");
    let head = [
        ("Authorization", viewer.as_str()),
        ("Content-Type", "application/json"),
    ];
    network(&server, "GET", "/api/v1/tasks/t", &head, "").expect(200);
    for (method, path, body) in [
        ("POST", "/api/v1/tasks", "{}"),
        ("PUT", "/api/v1/tasks/t", "{}"),
        ("PATCH", "/api/v1/tasks/t", r#"{"auto":false}"#),
        ("DELETE", "/api/v1/tasks/t", ""),
        ("POST", "/api/v1/tasks/t/run", "{}"),
        ("POST", "/api/v1/runs/1/cancel", "{}"),
        ("POST", "/api/v1/pools", r#"{"name":"p","slots":1}"#),
        (
            "PUT",
            "/api/v1/pools/default",
            r#"{"name":"default","slots":1}"#,
        ),
        ("DELETE", "/api/v1/pools/default", ""),
        ("PUT", "/api/v1/variables/A", r#"{"value":"x"}"#),
        ("DELETE", "/api/v1/variables/A", ""),
        ("PUT", "/api/v1/scripts/a.py", "x"),
        ("DELETE", "/api/v1/scripts/a.py", ""),
        ("GET", "/api/v1/users", ""),
        (
            "POST",
            "/api/v1/users",
            r#"{"name":"x","password":"0123456789","role":"admin"}"#,
        ),
        ("GET", "/api/v1/tokens", ""),
        ("POST", "/api/v1/tokens", r#"{"name":"x","role":"admin"}"#),
        ("GET", "/api/v1/channels", ""),
        ("POST", "/api/v1/channels", "{}"),
        ("PUT", "/api/v1/channels/c", "{}"),
        ("DELETE", "/api/v1/channels/c", ""),
        ("POST", "/api/v1/channels/c/test", ""),
        ("GET", "/api/v1/deliveries", ""),
        ("POST", "/api/v1/import", ""),
    ] {
        let answer = network(&server, method, path, &head, body);
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
    let admin = token(&server, "admin");
    network(
        &server,
        "POST",
        "/api/v1/tasks/t/run",
        &[("Authorization", &admin)],
        "",
    )
    .expect(202);
    server
        .json("DELETE", "/api/v1/tokens/admin", json!({}))
        .expect(204);
    network(
        &server,
        "GET",
        "/api/v1/tasks",
        &[("Authorization", &admin)],
        "",
    )
    .expect(401);
}

fn set_up(server: &Server) -> String {
    let token = server.setup_token();
    network(server, "GET", &format!("/setup?token={token}"), &[], "").expect(200);
    let body = format!("token={token}&name=ann&password=correct-horse&repeat=correct-horse");
    let answer = network(server, "POST", "/setup", &[FORM, OURS], &body).expect(303);
    answer.header("set-cookie").unwrap().to_owned()
}

#[test]
fn the_setup_link_makes_one_admin_and_works_once() {
    let server = Server::start();
    network(&server, "GET", "/setup?token=wrong", &[], "").expect(401);
    let token = server.setup_token();
    let short = format!("token={token}&name=ann&password=short&repeat=short");
    let refused = network(&server, "POST", "/setup", &[FORM, OURS], &short).expect(422);
    assert!(refused.text().contains("at least 10 characters"));
    let cookie = set_up(&server);
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    network(&server, "GET", &format!("/setup?token={token}"), &[], "").expect(401);
    let again = format!("token={token}&name=eve&password=correct-horse&repeat=correct-horse");
    network(&server, "POST", "/setup", &[FORM, OURS], &again).expect(401);
    let session = cookie.split(';').next().unwrap();
    network(&server, "GET", "/", &[("Cookie", session)], "").expect(200);
    let server = server.restart();
    assert!(!server.log().contains("/setup?token="), "there is an admin");
}

#[test]
fn a_session_comes_from_the_right_password_and_ends_with_logout() {
    let server = Server::start();
    set_up(&server);
    let wrong = try_log_in(&server, "ann", "wrong-horse-1", &[]).expect(401);
    assert!(wrong.header("set-cookie").is_none());
    try_log_in(&server, "bob", "correct-horse", &[]).expect(401);
    let session = cookies(&try_log_in(&server, "ann", "correct-horse", &[]).expect(303));
    let session = ("Cookie", session.as_str());
    network(&server, "GET", "/", &[session], "").expect(200);
    network(&server, "POST", "/logout", &[session, OURS], "").expect(303);
    network(&server, "GET", "/", &[session], "").expect(303);
}

#[test]
fn tls_is_on_by_default_with_a_certificate_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = crate::harness::command(dir.path())
        .arg("serve")
        .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let cert = dir.path().join("tls/cert.pem");
    crate::harness::wait_for("the socket", || {
        dir.path().join("lightflow.sock").exists().then_some(())
    });
    assert!(
        std::fs::read_to_string(cert)
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    let mode = std::os::unix::fs::MetadataExt::mode(
        &std::fs::metadata(dir.path().join("tls/key.pem")).unwrap(),
    );
    assert_eq!(mode & 0o777, 0o600);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_setup_link_ends_when_somebody_was_added_another_way() {
    let server = Server::start();
    let token = server.setup_token();
    let user = json!({"name": "first", "password": "correct-horse", "role": "admin"});
    server.post("/api/v1/users", user).expect(201);
    network(&server, "GET", &format!("/setup?token={token}"), &[], "").expect(401);
    let body = format!("token={token}&name=eve&password=correct-horse&repeat=correct-horse");
    network(&server, "POST", "/setup", &[FORM, OURS], &body).expect(401);
    let users = server.get("/api/v1/users").json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
}
