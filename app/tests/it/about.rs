//! The server about itself: version, licences, metrics, and the API for people.

use crate::harness::Server;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/licences.tsv")
}

/// Every crate that is compiled into the runner for the board, as cargo knows them.
fn crates() -> String {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", "aarch64-unknown-linux-musl"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let array = |value: &Value| value.as_array().unwrap().clone();
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let packages: BTreeMap<String, Value> = array(&metadata["packages"])
        .into_iter()
        .map(|p| (id(&p), p))
        .collect();
    let nodes: BTreeMap<String, Value> = array(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|n| (id(&n), n))
        .collect();
    let own = packages
        .values()
        .find(|p| p["name"] == "lightflow")
        .unwrap();
    let mut open = vec![id(own)];
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        for dependency in array(&nodes[&next]["deps"]) {
            let normal = array(&dependency["dep_kinds"])
                .iter()
                .any(|k| k["kind"].is_null());
            let package = dependency["pkg"].as_str().unwrap().to_owned();
            if normal && seen.insert(package.clone()) {
                open.push(package);
            }
        }
    }
    let mut lines: Vec<String> = seen
        .iter()
        // A crate of this workspace has no source, and the licence of the whole.
        .filter(|id| !packages[*id]["source"].is_null())
        .map(|id| {
            let package = &packages[id];
            let text = |key: &str| package[key].as_str().unwrap_or("NOASSERTION");
            // The older way to write a choice was a slash.
            let licence = text("license").replace('/', " OR ").replace("  ", " ");
            format!("{}\t{}\t{licence}\n", text("name"), text("version"))
        })
        .collect();
    lines.sort();
    lines.concat()
}

#[test]
fn the_list_of_licences_is_that_of_the_crates_that_are_compiled_in() {
    let crates = crates();
    if std::env::var_os("LIGHTFLOW_WRITE_LICENCES").is_some() {
        std::fs::write(list(), &crates).unwrap();
    }
    let known = std::fs::read_to_string(list()).unwrap();
    assert!(
        known == crates,
        "src/web/licences.tsv is old; write it anew: LIGHTFLOW_WRITE_LICENCES=1 cargo nextest run -p lightflow the_list_of_licences"
    );
    let page = Server::start().get("/settings/about").expect(200).text();
    for word in [
        env!("CARGO_PKG_VERSION"),
        "x509-parser",
        "MIT OR Apache-2.0",
        "SQLite",
    ] {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn the_source_of_the_zone_data_is_on_the_page_and_in_the_log() {
    let version = std::fs::read_to_string("/usr/share/zoneinfo/tzdata.zi").unwrap();
    let version = version
        .lines()
        .next()
        .unwrap()
        .trim_start_matches("# version ");
    let server = Server::start();
    let said = format!("{version} of /usr/share/zoneinfo");
    assert!(server.log().contains(&said), "{}", server.log());
    assert!(
        server
            .get("/settings/about")
            .expect(200)
            .text()
            .contains(&said)
    );
    let server = Server::start_with(&[("TZDIR", "/nowhere"), ("TZ", "Europe/Paris")]);
    let said = "compiled in, because /nowhere holds no zone data";
    assert!(server.log().contains(said), "{}", server.log());
    assert!(
        server
            .get("/settings/about")
            .expect(200)
            .text()
            .contains(said)
    );
}

/// The samples of a scrape, each under its family, as a strict reader takes them.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut kinds = BTreeMap::new();
    let mut help = BTreeSet::new();
    let mut found = BTreeMap::new();
    let mut family = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, words] => {
                assert!(help.insert((*name).to_owned()), "{name} has help twice");
                assert!(words.ends_with('.'), "{line}");
            }
            ["#", "TYPE", name, kind] => {
                assert!(["gauge", "counter"].contains(kind), "{line}");
                assert_eq!(*kind == "counter", name.ends_with("_total"), "{line}");
                kinds.insert((*name).to_owned(), (*kind).to_owned());
                family = (*name).to_owned();
            }
            _ => {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                assert_eq!(name, family, "a sample outside of its family: {line}");
                assert!(help.contains(name) && kinds.contains_key(name), "{line}");
                let old = found.insert(series.to_owned(), value.parse().unwrap());
                assert_eq!(old, None, "{series} is there twice");
            }
        }
    }
    found
}

#[test]
fn metrics_are_what_prometheus_reads_and_counters_only_grow() {
    let server = Server::start();
    let body = json!({"name": "t", "keep_runs": 1, "steps": [{"name": "s", "command": "true"}]});
    server.post("/api/v1/tasks", body).expect(201);
    server.shell_task("bad", &[("s", "false", json!({}))]);
    for _ in 0..3 {
        server.run_to_end("t");
    }
    server.run_to_end("bad");
    let text = server.get("/metrics").expect(200).text();
    let found = samples(&text);
    let value = |series: &str| {
        *found
            .get(series)
            .unwrap_or_else(|| panic!("{series} in {text}"))
    };
    // Of three runs one is kept, and all are counted.
    assert_eq!(
        value("lightflow_runs_finished_total{task=\"t\",state=\"success\"}"),
        3.0
    );
    assert_eq!(
        value("lightflow_runs_finished_total{task=\"bad\",state=\"failed\"}"),
        1.0
    );
    assert_eq!(value("lightflow_task_last_run_ok{task=\"t\"}"), 1.0);
    assert_eq!(value("lightflow_task_last_run_ok{task=\"bad\"}"), 0.0);
    assert!(value("lightflow_task_last_success_timestamp_seconds{task=\"t\"}") > 1.7e9);
    assert!(!text.contains("lightflow_task_last_success_timestamp_seconds{task=\"bad\"}"));
    assert_eq!(value("lightflow_runs_active{state=\"running\"}"), 0.0);
    assert_eq!(value("lightflow_pool_slots{pool=\"default\"}"), 4.0);
    assert_eq!(value("lightflow_pool_waiting{pool=\"default\"}"), 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_start_time_seconds") > 1.7e9);
}

#[test]
fn the_api_page_has_every_operation_and_every_shape_of_the_document() {
    let server = Server::start();
    let document = server.get("/api/v1/openapi.json").expect(200).json();
    let page = server.get("/settings/api").expect(200).text();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{method} {path} is not described");
        }
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(
            page.contains(&format!("id=\"{target}\"")),
            "#{target} leads nowhere"
        );
    }
    // The text between backticks in a description is code.
    assert!(page.contains("<code>Last-Event-ID</code>") && !page.contains('`'));
    assert!(!page.contains("<script src=\"http") && !page.contains("href=\"http"));
}
