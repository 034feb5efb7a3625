//! The headers of every answer to every caller: the policy that keeps foreign
//! scripts out. And every page has a title of its own.

use crate::harness::Server;
use crate::http::{Address, Answer};
use crate::pages::{PAGES, Who};
use crate::people::{FORM, JSON, OURS, RIGHT, log_in};
use crate::world::World;
use std::collections::HashMap;

/// The policy, directive by directive: nothing from other servers, and nothing inline.
const POLICY: [&str; 8] = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
];

#[track_caller]
fn protected(what: &str, answer: &Answer) {
    let all = |name: &str| -> Vec<&str> {
        let found = answer
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    };
    let policies = all("content-security-policy");
    let [policy] = policies[..] else {
        panic!("{what}: {policies:?}");
    };
    let directives: Vec<&str> = policy.split("; ").collect();
    assert_eq!(directives, POLICY, "{what}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(all(name), [value], "{what}: {name}");
    }
}

#[test]
fn every_page_carries_the_policy_and_a_title_of_its_own() {
    let world = World::start(2);
    let network = &world.server.network;
    let mut titles = HashMap::new();
    let (mut ann, mut bob) = (String::new(), String::new());
    for page in PAGES {
        if page.who != Who::Stranger && ann.is_empty() {
            world.let_people_in();
            ann = log_in(&world.server, "ann");
            bob = log_in(&world.server, "bob");
        }
        let head = match page.who {
            Who::Stranger => vec![],
            Who::Admin => vec![("Cookie", ann.as_str())],
            Who::Viewer => vec![("Cookie", bob.as_str())],
        };
        let answer = network.send("GET", &world.path(page), &head, b"");
        let status = match page.name {
            "setup-wrong" => 401,
            "viewer-refused" => 403,
            "not-found" => 404,
            _ => 200,
        };
        assert_eq!(answer.status, status, "{}", page.name);
        protected(page.name, &answer);
        let text = answer.text();
        let (_, title) = text.split_once("<title>").expect(page.name);
        let title = title.split("</title>").next().unwrap().to_owned();
        let path = page.path.split('?').next().unwrap();
        if let Some(other) = titles.insert((title.clone(), page.who as u8), path) {
            assert_eq!(other, path, "both have the title {title:?}");
        }
    }
}

/// Every stylesheet, module and picture, as the sources have them.
fn assets() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/assets");
    let names = std::fs::read_dir(folder).unwrap();
    names
        .map(|entry| format!("/assets/{}", entry.unwrap().file_name().display()))
        .collect()
}

#[test]
fn every_other_answer_carries_the_policy() {
    let world = World::start(1);
    world.let_people_in();
    let Server {
        network, socket, ..
    } = &world.server;
    let ann = log_in(&world.server, "ann");
    let ask = |from: &Address, method: &str, path: &str, head: &[(&str, &str)], status: u16| {
        // A stream does not end: only its head is looked at.
        let live = from.open(method, path, head, b"");
        let answer = Answer {
            status: live.status,
            headers: live.headers.clone(),
            body: Vec::new(),
        };
        assert_eq!(answer.status, status, "{method} {path}");
        protected(&format!("{method} {path}"), &answer);
    };
    let stored = assets();
    assert!(stored.len() > 8, "{stored:?}");
    for path in &stored {
        ask(network, "GET", path, &[], 200);
    }
    let cookie = ("Cookie", ann.as_str());
    // Documents for programs, downloads, and streams.
    for path in [
        "/fragments/overview",
        "/fragments/tasks",
        "/api/v1/openapi.json",
        "/api/v1/tasks",
        "/api/v1/export",
        "/api/v1/scripts/backup.sh",
        "/api/v1/runs/1/steps/0/log",
        "/api/v1/runs/1/steps/0/log/stream",
        "/api/v1/events",
        "/metrics",
        "/healthz",
        "/readyz",
    ] {
        ask(network, "GET", path, &[cookie], 200);
    }
    let snapshots = world.server.get("/api/v1/snapshots").json();
    let name = snapshots["snapshots"][0]["name"].as_str().unwrap();
    let download = format!("/api/v1/snapshots/{name}");
    ask(network, "GET", &download, &[cookie], 200);
    // Redirects, and refusals.
    ask(network, "GET", "/", &[], 303);
    ask(network, "POST", "/logout", &[OURS], 303);
    ask(network, "GET", "/assets/none.js", &[], 404);
    ask(network, "GET", "/no/such/page", &[], 404);
    ask(network, "GET", "/api/v1/no/such/thing", &[], 404);
    ask(network, "GET", "/api/v1/tasks", &[], 401);
    ask(network, "DELETE", "/login", &[OURS], 405);
    ask(network, "POST", "/api/v1/tasks", &[JSON, cookie], 403);
    ask(network, "POST", "/api/v1/tasks", &[JSON, OURS, cookie], 400);
    ask(socket, "POST", "/add/task", &[FORM], 422);
    let entered = network
        .send("POST", "/login", &[FORM, OURS], RIGHT.as_bytes())
        .expect(303);
    protected("POST /login", &entered);
    let large = "x".repeat(3_000_000);
    let refused = socket.send("POST", "/add/pool", &[FORM], large.as_bytes());
    protected("what is too large", &refused.expect(413));
}
