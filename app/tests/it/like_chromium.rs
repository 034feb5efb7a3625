//! Every address of the server, asked as Chromium asks: compressed, over HTTP/1.1 and HTTP/2, over TLS and the socket,
//! with HEAD, Range and If-None-Match, and with reads that are broken off in the middle. curl asks, so no line of the
//! server's own HTTP code is used. The server and its running task must not notice.

use crate::harness::wait_for;
use crate::pages::{PAGES, Who};
use crate::people::{FORM, OURS, PASSWORD, cookies};
use crate::world::World;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// The header that Chromium sends with every request.
const CHROMIUM: &str = "Accept-Encoding: gzip, deflate, br, zstd";

/// curl's exit codes: done, cannot write the answer to the file, the time is up, the stream was reset.
const DONE: &str = "0";
const CANNOT_WRITE: &str = "23";
const TIME_IS_UP: &str = "28";
const STREAM_RESET: &str = "92";

/// A way to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Http1,
    Http2,
    Socket,
}

/// A kind of request to one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Variant {
    Get,
    Head,
    Range,
    NotModified,
    /// The reader goes away after the first bytes.
    BrokenOff,
    /// Another method, with a body of `{}`.
    Change,
}

struct Request {
    method: String,
    path: String,
    variant: Variant,
    way: Way,
}

impl Request {
    /// A stream that ends only with its client.
    fn is_live(&self) -> bool {
        self.path.contains("/stream") || self.path.ends_with("/events")
    }
}

/// Seconds for which a live stream is read; and a second time, where its head did not come in the first.
const LIVE_S: &str = "0.2";
const LIVE_ON_A_BUSY_MACHINE_S: &str = "10";

/// A request as a stanza of curl's configuration file.
fn stanza(world: &World, cookie: &str, request: &Request, live_s: &str) -> String {
    let data = world.server.data().display();
    let mut lines = vec![
        format!("header = \"{CHROMIUM}\""),
        "compressed".to_owned(),
        "silent".to_owned(),
        "max-time = 20".to_owned(),
        r#"write-out = "%{http_code} %{http_version} %{exitcode}\n""#.to_owned(),
        format!("request = \"{}\"", request.method),
    ];
    let (base, protocol) = match request.way {
        Way::Socket => {
            lines.push(format!("unix-socket = \"{data}/lightflow.sock\""));
            ("http://localhost".to_owned(), "http1.1")
        }
        Way::Http1 | Way::Http2 => {
            let port = world.server.address().rsplit(':').next().unwrap();
            lines.push(format!("cacert = \"{data}/tls/cert.pem\""));
            lines.push(format!("resolve = \"localhost:{port}:127.0.0.1\""));
            lines.push(format!("header = \"Cookie: {cookie}\""));
            lines.push(r#"header = "Sec-Fetch-Site: same-origin""#.to_owned());
            let protocol = match request.way {
                Way::Http2 => "http2",
                _ => "http1.1",
            };
            (format!("https://localhost:{port}"), protocol)
        }
    };
    lines.push(protocol.to_owned());
    lines.push(format!("url = \"{base}{}\"", request.path));
    let output = match request.variant {
        Variant::BrokenOff => "/dev/full",
        _ => "/dev/null",
    };
    lines.push(format!("output = \"{output}\""));
    match request.variant {
        Variant::Head => lines.push("head".to_owned()),
        Variant::Range => lines.push("range = \"5-20\"".to_owned()),
        Variant::NotModified => lines.push(r#"header = "If-None-Match: \"x\"""#.to_owned()),
        // Every piece is written at once, so that the first one ends the transfer.
        Variant::BrokenOff => lines.push("no-buffer".to_owned()),
        Variant::Change => {
            lines.push(r#"header = "Content-Type: application/json""#.to_owned());
            lines.push(r#"data = "{}""#.to_owned());
        }
        Variant::Get => {}
    }
    if request.is_live() {
        lines.retain(|line| line != "max-time = 20");
        lines.push(format!("max-time = {live_s}"));
    }
    lines.join("\n")
}

/// Sends the requests one after the other over as few connections as curl needs; returns status, version and exit
/// code of each.
fn curl(world: &World, cookie: &str, requests: &[Request], live_s: &str) -> Vec<String> {
    let stanzas: Vec<String> = requests
        .iter()
        .map(|request| stanza(world, cookie, request, live_s))
        .collect();
    let mut curl = Command::new("curl")
        .args(["--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = curl.stdin.take().unwrap();
    let text = stanzas.join("\nnext\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = curl.wait_with_output().unwrap();
    writer.join().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}

/// Every address that the OpenAPI document describes, with its methods.
fn operations(world: &World, run: &str, snapshot: &str) -> Vec<(String, String)> {
    let document = world.server.get("/api/v1/openapi.json").expect(200).json();
    let paths: &Value = &document["paths"];
    let mut found = Vec::new();
    for (path, item) in paths.as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let reads = method == "get";
            // Requests for changes name things that do not exist, so the world keeps its state.
            let name = match path.split('/').nth(1) {
                _ if !reads => "no_such_thing",
                Some("tasks") => "backup_immich",
                Some("pools") => "backup",
                Some("variables") => "BACKUP_SSH_KEY",
                Some("scripts") => "backup.sh",
                Some("snapshots") => snapshot,
                Some("users") => "ann",
                Some("channels") => "phone",
                _ => "no_such_thing",
            };
            let path = path
                .replace("{name}", name)
                .replace("{key}", name)
                .replace("{id}", if reads { run } else { "999999" })
                .replace("{position}", "0")
                .replace("{number}", "1");
            let path = match path.as_str() {
                "/cron" => "/cron?expr=0+3+*+*+*".to_owned(),
                path if path.ends_with("/search") => format!("{path}?q=rclone"),
                path => path.to_owned(),
            };
            let base = if path.contains("healthz") || path.contains("readyz") {
                ""
            } else {
                "/api/v1"
            };
            found.push((method.to_uppercase(), format!("{base}{path}")));
        }
    }
    found
}

/// The files that the pages refer to.
fn assets(pages: &[String]) -> Vec<String> {
    let mut found: Vec<String> = pages
        .iter()
        .flat_map(|page| page.split("/assets/").skip(1))
        .map(|rest| {
            let end = rest.find(['"', '\'', ')', ' ']).unwrap_or(rest.len());
            format!("/assets/{}", &rest[..end])
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn every_address_answers_and_the_server_lives_on() {
    let world = World::start_with(2, &[("LIGHTFLOW_TLS", "on")]);
    world.let_people_in();
    let running = world.run_named("{running}");
    let tls = world.server.over_tls();
    let login = format!("name=ann&password={PASSWORD}");
    let answer = tls.send("POST", "/login", &[FORM, OURS], login.as_bytes());
    let cookie = cookies(&answer.expect(303));
    let snapshot = world
        .server
        .post("/api/v1/snapshots", json!({}))
        .expect(201);
    let snapshot = snapshot.json()["name"].as_str().unwrap().to_owned();
    let pid = world.server.pid();
    let before = world.server.run(running);

    let mut gets: Vec<String> = [
        "/healthz",
        "/readyz",
        "/metrics",
        "/no/such/page",
        "/login",
        "/setup?token=wrong",
    ]
    .map(str::to_owned)
    .to_vec();
    let operations = operations(&world, &running.to_string(), &snapshot);
    gets.extend(
        operations
            .iter()
            .filter(|(method, _)| method == "GET")
            .map(|(_, path)| path.clone()),
    );
    // The running step's log and that of a step that is over.
    let over = world.run_named("{good}");
    gets.extend((0..4).map(|step| format!("/api/v1/runs/{over}/steps/{step}/log")));
    let pages: Vec<String> = PAGES
        .iter()
        .filter(|page| page.who == Who::Admin)
        .map(|page| world.path(page))
        .collect();
    let texts: Vec<String> = pages
        .iter()
        .map(|path| tls.send("GET", path, &[("Cookie", &cookie)], b"").text())
        .collect();
    let assets = assets(&texts);
    assert!(assets.len() > 3, "{assets:?}");
    gets.extend(pages);
    gets.extend(assets);
    gets.sort();
    gets.dedup();

    let mut sent = 0;
    for way in [Way::Http1, Way::Http2, Way::Socket] {
        for variant in [
            Variant::Get,
            Variant::Head,
            Variant::Range,
            Variant::NotModified,
            Variant::BrokenOff,
            Variant::Change,
        ] {
            let one = |method: &str, path: &String| Request {
                method: method.to_owned(),
                path: path.clone(),
                variant,
                way,
            };
            let requests: Vec<Request> = match variant {
                Variant::Change => operations
                    .iter()
                    .filter(|(method, _)| method != "GET")
                    .map(|(method, path)| one(method, path))
                    .collect(),
                Variant::Head => gets.iter().map(|path| one("HEAD", path)).collect(),
                _ => gets.iter().map(|path| one("GET", path)).collect(),
            };
            let answers = curl(&world, &cookie, &requests, LIVE_S);
            assert_eq!(answers.len(), requests.len(), "{way:?} {variant:?}");
            for (request, mut answer) in requests.iter().zip(answers) {
                if request.is_live() && answer.starts_with("000") && answer.ends_with(TIME_IS_UP) {
                    let again = std::slice::from_ref(request);
                    answer = curl(&world, &cookie, again, LIVE_ON_A_BUSY_MACHINE_S).concat();
                }
                let told = format!("{way:?} {variant:?} {} {}", request.method, request.path);
                let words: Vec<&str> = answer.split(' ').collect();
                let [status, version, exit] = words[..] else {
                    panic!("{told}: {answer}");
                };
                let live = request.is_live();
                let fits = match variant {
                    // An answer without a body, or one that ended first, is read to its end.
                    Variant::BrokenOff => [DONE, CANNOT_WRITE, TIME_IS_UP].contains(&exit),
                    // The whole answer came before the body was read, and the server resets the rest of the stream
                    // without an error (RFC 9113, 8.1). curl 7.88 calls that one.
                    Variant::Change if way == Way::Http2 => [DONE, STREAM_RESET].contains(&exit),
                    _ => exit == DONE || (live && exit == TIME_IS_UP),
                };
                assert!(fits, "{told}: curl ended with {exit}");
                // curl 7.88 may forget the answer's head when the reset comes in one read with it.
                if exit == STREAM_RESET && status == "000" {
                    continue;
                }
                assert!(
                    !status.starts_with('5') && status != "000",
                    "{told}: {status}"
                );
                let expected = if way == Way::Http2 { "2" } else { "1.1" };
                assert_eq!(version, expected, "{told}");
                sent += 1;
            }
        }
    }
    println!("{sent} requests to {} addresses", gets.len());
    // Fewer would mean that a list of addresses was not found.
    assert!(sent > 1200, "{sent}");

    // The same process, the same attempt of the running step, and no panic that was caught.
    assert_eq!(world.server.pid(), pid);
    let metrics = world.server.get("/metrics").expect(200).text();
    assert!(
        metrics.contains("\nlightflow_panics_total 0\n"),
        "{metrics}"
    );
    let after = world.server.run(running);
    for what in ["state", "interrupted", "started_at"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    assert_eq!(after["steps"][0]["attempt"], 1);
    wait_for("no panic in the log", || {
        (!world.server.log().contains("panic")).then_some(())
    });
}
