//! The edges of the API: who is told which status, which field is named, and the document that describes it.

use crate::harness::{Server, wait_for};
use serde_json::json;

#[test]
fn a_request_without_a_token_is_told_to_send_one() {
    let server = Server::start();
    let json = [("Content-Type", "application/json")];
    for (method, path) in [
        ("POST", "/api/v1/pools"),
        ("DELETE", "/api/v1/tasks/x"),
        ("PUT", "/api/v1/variables/X"),
    ] {
        let answer = server.network.send(method, path, &json, b"{}");
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
    }
    // A page of another site still cannot log anyone in.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(
        server
            .network
            .send("POST", "/login", &form, b"name=a&password=b")
            .status,
        403
    );
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let server = Server::start();
    let step = json!({"name": "s", "command": "true", "timeout": "soon"});
    let body = json!({"name": "t", "steps": [step]});
    let refused = server.post("/api/v1/tasks", body).expect(400).text();
    assert!(
        refused.contains("steps[0].timeout: invalid type"),
        "{refused}"
    );
    let query = server.get("/api/v1/runs?limit=many").expect(400).text();
    assert!(query.contains("limit"), "{query}");
    server
        .post("/api/v1/pools", json!({"name": "\u{202e}loop", "slots": 1}))
        .expect(422);
    let step = json!({"name": "in\u{200b}visible", "command": "true"});
    let refused = server
        .post("/api/v1/tasks", json!({"name": "t", "steps": [step]}))
        .expect(422)
        .text();
    assert!(refused.contains("U+200B"), "{refused}");
}

#[test]
fn wrong_tokens_leave_few_lines_in_the_log() {
    let server = Server::start();
    for _ in 0..120 {
        let head = [("Authorization", "Bearer wrong")];
        assert_eq!(
            server
                .network
                .send("GET", "/api/v1/tasks", &head, b"")
                .status,
            401
        );
    }
    wait_for("the line", || {
        server.log().contains("count=100").then_some(())
    });
    assert_eq!(
        server.log().matches("wrong token").count(),
        3,
        "{}",
        server.log()
    );
    assert!(server.log().contains("127.0.0.1"));
}
