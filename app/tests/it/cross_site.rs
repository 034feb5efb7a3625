//! Requests of other sites' pages with the cookie of a user who is logged in here.

use crate::harness::Server;
use crate::people::{FORM, JSON, OURS, RIGHT, add_user, log_in};
use serde_json::json;

#[test]
fn a_page_of_another_site_can_change_nothing_and_read_nothing() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    add_user(&server, "ann", "admin");
    let mine = log_in(&server, "ann");
    let host = format!("http://{}", server.address());
    let evil: &[&[(&str, &str)]] = &[
        &[
            ("Sec-Fetch-Site", "cross-site"),
            ("Origin", "https://evil.example"),
        ],
        &[
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "http://localhost:1"),
        ],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        // The prefix of a name is another name.
        &[("Origin", "http://localhost.evil.example")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &host)],
        &[],
    ];
    for headers in evil {
        for (kind, path, body) in [
            (FORM, "/login", RIGHT),
            (FORM, "/logout", ""),
            (FORM, "/tasks/t/run", ""),
            (FORM, "/add/pool", "name=p&slots=1"),
            (JSON, "/api/v1/tasks/t/run", "{}"),
            (
                ("Content-Type", "text/plain"),
                "/api/v1/pools",
                r#"{"name":"p","slots":1}"#,
            ),
        ] {
            let mut head = vec![kind, ("Cookie", mine.as_str())];
            head.extend(*headers);
            let answer = server.network.send("POST", path, &head, body.as_bytes());
            assert_eq!(answer.status, 403, "{headers:?} {path}: {}", answer.text());
            assert!(answer.header("set-cookie").is_none(), "{path}");
        }
    }
    // JSON in disguise needs no preflight, so it is not read even from here.
    let disguised = [
        ("Content-Type", "text/plain"),
        OURS,
        ("Cookie", mine.as_str()),
    ];
    let body = br#"{"name":"p","slots":1}"#;
    server
        .network
        .send("POST", "/api/v1/pools", &disguised, body)
        .expect(400);
    for method in ["GET", "OPTIONS"] {
        let asked = [
            ("Cookie", mine.as_str()),
            ("Origin", "https://evil.example"),
            ("Access-Control-Request-Method", "PUT"),
        ];
        let answer = server.network.send(method, "/api/v1/tasks", &asked, b"");
        let allowed = answer
            .headers
            .iter()
            .find(|(name, _)| name.to_lowercase().starts_with("access-control-"));
        assert!(allowed.is_none(), "{method}: {allowed:?}");
    }
    // Nothing happened.
    assert_eq!(
        server.get("/api/v1/pools").json()["pools"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(server.get("/api/v1/runs").json()["runs"], json!([]));
    // The session stays valid, and our own pages may use it.
    let own = [JSON, OURS, ("Cookie", mine.as_str())];
    server
        .network
        .send("POST", "/api/v1/tasks/t/run", &own, b"{}")
        .expect(202);
}
