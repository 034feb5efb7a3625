//! The manual: served without a login and without the network, and its reference of the API.

use crate::harness::Server;
use crate::http::{Address, Answer};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/manual")
        .join(name)
}

const HEAD: &str = "# API\n\n\
    JSON below `/api/v1`. Send a token in the header `Authorization: Bearer …`; make one under **Settings**, **API tokens**. Errors are\n\
    problem details (RFC 9457) with a `title` and a `detail`. The server describes each operation with all fields in\n\
    `/api/v1/openapi.json`, and under **Settings**, **API**. Besides these, `/healthz` and `/readyz` answer without a token, and\n\
    `/metrics` is for Prometheus.\n\n\
    <!-- no-test: needs the address and a token of your server -->\n\
    ```sh\n\
    curl --cacert cert.pem -H \"Authorization: Bearer $LIGHTFLOW_TOKEN\" https://odroid:8443/api/v1/tasks\n\
    ```\n";

/// The operations of the OpenAPI document, by group.
fn reference(document: &Value) -> String {
    let mut page = HEAD.to_owned();
    let mut rows: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(group) = operation["tags"][0].as_str() else {
                continue;
            };
            let summary = operation["summary"].as_str().unwrap();
            let method = method.to_uppercase();
            let row = format!("| `{method} {path}` | {} |", summary.trim_end_matches('.'));
            rows.push((group.to_owned(), row));
        }
    }
    rows.sort();
    let mut group = String::new();
    for (of, row) in rows {
        if of != group {
            let _ = write!(page, "\n## {of}\n\n| Operation | Meaning |\n|---|---|\n");
            group = of;
        }
        page.push_str(&row);
        page.push('\n');
    }
    page
}

#[test]
fn the_reference_of_the_api_is_current() {
    let server = Server::start();
    let page = reference(&server.get("/api/v1/openapi.json").json());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file("api.md"), &page).unwrap();
    }
    let present = std::fs::read_to_string(file("api.md")).unwrap();
    assert!(
        present == page,
        "docs/manual/api.md is old; write it anew: BLESS=1 cargo nextest run -p lightflow manual"
    );
}

/// The answer to a stranger in the network.
fn stranger(server: &Server, path: &str) -> Answer {
    Address::Tcp(server.address().to_owned()).send("GET", path, &[], b"")
}

#[test]
fn every_page_of_the_manual_is_served_to_everyone() {
    let server = Server::start();
    let summary = std::fs::read_to_string(file("SUMMARY.md")).unwrap();
    let pages = summary
        .split('(')
        .skip(1)
        .filter_map(|rest| rest.split_once(".md"));
    let mut count = 0;
    for (slug, _) in pages {
        let path = match slug {
            "index" => "/docs".to_owned(),
            slug => format!("/docs/{slug}"),
        };
        let answer = stranger(&server, &path);
        assert_eq!(answer.status, 200, "{path}");
        let text = std::fs::read_to_string(file(&format!("{slug}.md"))).unwrap();
        let title = text.lines().next().unwrap().trim_start_matches("# ");
        let body = answer.text();
        assert!(
            body.contains(&format!("{title}</h1>")),
            "{path} has no title {title}"
        );
        assert!(
            !body.contains("<script") && !body.contains("no-test"),
            "{path}"
        );
        count += 1;
    }
    assert!(count > 10);
    // Without its size a picture would move the text below when it arrives.
    let first = stranger(&server, "/docs").text();
    let sized = first.matches("width=\"").count();
    assert_eq!(sized, first.matches("<img").count());
    assert!(sized > 0);
    let picture = stranger(&server, "/docs/pictures/overview.png");
    assert_eq!((picture.status, &picture.body[1..4]), (200, &b"PNG"[..]));
    assert_eq!(stranger(&server, "/docs/nothing").status, 404);
}
