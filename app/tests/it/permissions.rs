//! Only an admin changes anything: tried for every operation that the API
//! describes and for every form that a page sends, so that a new one is tried as well.

use crate::harness::Server;
use crate::people::{FORM, JSON, OURS, add_user, log_in, token};
use serde_json::{Value, json};
use std::path::Path;

/// The requests that a viewer may send although they change something: the viewer's own things, each
/// with a test of its own elsewhere.
const OWN: &[(&str, &str)] = &[
    ("put", "/api/v1/account/password"),
    ("delete", "/api/v1/sessions/{id}"),
    ("post", "/settings/account"),
    ("post", "/settings/sessions/{id}/end"),
];

/// Forms of people who did not log in yet.
const ENTRY: &[&str] = &["/login", "/logout", "/setup"];

/// Every operation of the API that may change something, as method and address.
fn operations(server: &Server) -> Vec<(String, String)> {
    let document = server.get("/api/v1/openapi.json").expect(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if ["post", "put", "patch", "delete"].contains(&method.as_str()) {
                found.push((method.clone(), format!("/api/v1{path}")));
            }
        }
    }
    found
}

/// Every address to which a page sends a form, as the sources have it.
fn forms() -> Vec<(String, String)> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/pages");
    let mut found = Vec::new();
    let mut folders = vec![pages];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for route in text.split(".route(").skip(1) {
                let address = route.split('"').nth(1).unwrap();
                let sends = ["post(", "adding::", "editing::", "deleting::"];
                if sends.iter().any(|word| route.contains(word)) && !ENTRY.contains(&address) {
                    found.push(("post".to_owned(), address.to_owned()));
                }
            }
        }
    }
    found
}

/// The address with something that is there in the place of each name.
fn filled_in(address: &str) -> String {
    let name = if address.contains("/variables/") {
        "KEY"
    } else if address.contains("/pools/") {
        "default"
    } else if address.contains("/scripts/") {
        "a.sh"
    } else if address.contains("/users/") {
        "ann"
    } else {
        "t"
    };
    address
        .replace("{name}", name)
        .replace("{key}", name)
        .replace("{id}", "1")
        .replace("{position}", "0")
        .replace("{number}", "1")
}

fn state(server: &Server) -> Vec<Value> {
    [
        "tasks",
        "pools",
        "variables",
        "scripts",
        "users",
        "tokens",
        "channels",
    ]
    .iter()
    .map(|what| {
        let mut list = server.get(&format!("/api/v1/{what}")).expect(200).json();
        // The time of a token's last use changes with each request.
        for one in list["tokens"].as_array_mut().into_iter().flatten() {
            one["used_at"].take();
            one["used_from"].take();
        }
        list
    })
    .collect()
}

#[test]
fn a_viewer_changes_nothing_by_any_operation_or_form() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    server.run_to_end("t");
    server
        .json("PUT", "/api/v1/variables/KEY", json!({"value": "x"}))
        .expect(200);
    server
        .socket
        .send("PUT", "/api/v1/scripts/a.sh", &[], b"#!/bin/sh\n")
        .expect(200);
    add_user(&server, "ann", "viewer");
    let session = log_in(&server, "ann");
    let tokens = ["viewer", "operator"].map(|role| token(&server, role));
    let before = state(&server);
    let (operations, forms) = (operations(&server), forms());
    assert!(
        operations.len() > 20 && forms.len() > 25,
        "{operations:?} {forms:?}"
    );
    for (method, address) in operations.iter().chain(&forms) {
        if OWN.contains(&(method.as_str(), address.as_str())) {
            continue;
        }
        let api = address.starts_with("/api/");
        let kind = if api { JSON } else { FORM };
        let body: &[u8] = if api { b"{}" } else { b"" };
        let ask = |head: &[(&str, &str)]| {
            let path = filled_in(address);
            let mut head = head.to_vec();
            head.push(kind);
            server
                .network
                .send(&method.to_uppercase(), &path, &head, body)
                .status
        };
        assert_eq!(
            ask(&[("Cookie", &session), OURS]),
            403,
            "{method} {address} by a viewer"
        );
        assert_eq!(
            ask(&[("Authorization", &tokens[0])]),
            403,
            "{method} {address} by a token"
        );
        let nobody = ask(&[OURS]);
        assert!(
            [401, 303].contains(&nobody),
            "{method} {address} by nobody: {nobody}"
        );
        // An operator's token starts and cancels runs, and nothing more.
        let runs = address.ends_with("/cancel")
            || (address.contains("/tasks/") && address.ends_with("/run"))
            || address.contains("/runs/");
        if !runs || !api {
            assert_eq!(
                ask(&[("Authorization", &tokens[1])]),
                403,
                "{method} {address} by an operator"
            );
        }
    }
    assert_eq!(state(&server), before);
}
