//! Behind a reverse proxy: plain HTTP on a Unix socket or loopback, and headers that are
//! trusted from the proxy only.

use crate::harness::{Server, command, wait_for};
use crate::http::Address;
use crate::people::{JSON, OURS, PASSWORD, add_user, try_log_in};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

#[test]
fn the_headers_of_a_stranger_change_nothing() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    let head = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("Remote-User", "ann"),
    ];
    let answer = try_log_in(&server, "ann", PASSWORD, &head).expect(303);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        !cookie.contains("Secure") && cookie.starts_with("lightflow="),
        "{cookie}"
    );
    let sessions = server.get("/api/v1/sessions").json();
    assert_eq!(sessions["sessions"][0]["address"], "127.0.0.1");
    server
        .network
        .send("GET", "/api/v1/tasks", &head, b"")
        .expect(401);
}

#[test]
fn a_trusted_proxy_says_from_where_and_how_somebody_came() {
    let server = Server::start_with(&[("LIGHTFLOW_TRUSTED_PROXY", "127.0.0.0/8")]);
    add_user(&server, "ann", "admin");
    let head = [
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
    ];
    let answer = try_log_in(&server, "ann", PASSWORD, &head).expect(303);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.contains("Secure") && cookie.starts_with("__Host-"),
        "{cookie}"
    );
    let sessions = server.get("/api/v1/sessions").json();
    assert_eq!(sessions["sessions"][0]["address"], "203.0.113.9");
    // Without LIGHTFLOW_PROXY_USER_HEADER it does not name a user.
    let named = [("Remote-User", "ann")];
    server
        .network
        .send("GET", "/api/v1/tasks", &named, b"")
        .expect(401);
}

#[test]
fn who_logged_in_at_the_proxy_is_that_user_here() {
    let server = Server::start_with(&[
        ("LIGHTFLOW_TRUSTED_PROXY", "127.0.0.1"),
        ("LIGHTFLOW_PROXY_USER_HEADER", "Remote-User"),
    ]);
    add_user(&server, "ann", "admin");
    add_user(&server, "bob", "viewer");
    let ann = ("Remote-User", "ann");
    let pool = br#"{"name":"p","slots":1}"#;
    server.network.send("GET", "/", &[ann], b"").expect(200);
    // The proxy's own cookie is sent by browsers for any page, so a form of another site is refused.
    server
        .network
        .send("POST", "/api/v1/pools", &[ann, JSON], pool)
        .expect(403);
    server
        .network
        .send("POST", "/api/v1/pools", &[ann, JSON, OURS], pool)
        .expect(201);
    let bob = ("Remote-User", "bob");
    server
        .network
        .send("DELETE", "/api/v1/pools/p", &[bob, OURS], b"")
        .expect(403);
    let unknown = server
        .network
        .send("GET", "/", &[("Remote-User", "eve")], b"")
        .expect(403);
    assert!(
        unknown.text().contains("no user here"),
        "{}",
        unknown.text()
    );
    server
        .network
        .send("GET", "/api/v1/tasks", &[ann, bob], b"")
        .expect(403);
    let audit = server.get("/api/v1/audit?kind=pool").json();
    assert_eq!(audit["entries"][0]["actor"], "ann");
}

#[test]
fn only_the_proxy_may_say_who_logged_in() {
    let server = Server::start_with(&[
        ("LIGHTFLOW_TRUSTED_PROXY", "192.0.2.1"),
        ("LIGHTFLOW_PROXY_USER_HEADER", "Remote-User"),
    ]);
    add_user(&server, "ann", "admin");
    let refused = server
        .network
        .send("GET", "/", &[("Remote-User", "ann")], b"")
        .expect(403);
    assert!(
        refused.text().contains("LIGHTFLOW_TRUSTED_PROXY"),
        "{}",
        refused.text()
    );
    server.network.send("GET", "/login", &[], b"").expect(200);
}

#[test]
fn a_unix_socket_serves_the_proxy_and_gives_no_rights_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("http.sock");
    // The socket that a killed server left behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut child = command(dir.path())
        .arg("serve")
        .env("LIGHTFLOW_LISTEN", format!("unix:{}", socket.display()))
        .env("LIGHTFLOW_TRUSTED_PROXY", "unix")
        .env("LIGHTFLOW_PROXY_USER_HEADER", "Remote-User")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let proxy = Address::Socket(socket.clone());
    let own = Address::Socket(dir.path().join("lightflow.sock"));
    wait_for("the server", || {
        std::os::unix::net::UnixStream::connect(dir.path().join("lightflow.sock")).ok()
    });
    let metadata = std::fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let user = br#"{"name":"ann","password":"correct-horse","role":"viewer"}"#;
    proxy
        .send("POST", "/api/v1/users", &[JSON, OURS], user)
        .expect(401);
    own.send("POST", "/api/v1/users", &[JSON], user).expect(201);
    proxy.send("GET", "/api/v1/tasks", &[], b"").expect(401);
    proxy
        .send("GET", "/api/v1/tasks", &[("Remote-User", "ann")], b"")
        .expect(200);
    proxy
        .send("GET", "/api/v1/users", &[("Remote-User", "ann")], b"")
        .expect(403);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_setting_that_would_believe_anybody_keeps_the_server_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    for env in [
        [
            ("LIGHTFLOW_PROXY_USER_HEADER", "Remote-User"),
            ("LIGHTFLOW_TLS", "off"),
        ],
        [
            ("LIGHTFLOW_TRUSTED_PROXY", "0.0.0.0/0"),
            ("LIGHTFLOW_TLS", "off"),
        ],
    ] {
        let output = command(dir.path())
            .arg("serve")
            .envs(env)
            .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains(env[0].0),
            "{text}"
        );
    }
}
