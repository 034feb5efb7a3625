//! Parts of logs and downloads: tags, conditions and ranges (RFC 9110), as curl and a browser ask for them.

use crate::harness::{PATIENCE, Server};
use crate::http::Answer;
use serde_json::json;
use std::process::Command;

/// The headers with which Chromium asks for a page or a download.
const BROWSER: [(&str, &str); 3] = [
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("Sec-Fetch-Site", "same-origin"),
];

fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    server.socket.send("GET", path, headers, b"")
}

/// The addresses of one of each kind, and their bytes.
fn downloads(server: &Server) -> Vec<(String, Vec<u8>)> {
    let print = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done";
    server.shell_task("t", &[("s", print, json!({}))]);
    let run = server.run_to_end("t")["id"].clone();
    let made = server.post("/api/v1/snapshots", json!({})).expect(201);
    let name = made.json()["name"].as_str().unwrap().to_owned();
    server
        .socket
        .send("PUT", "/api/v1/scripts/x.sh", &[], b"echo x")
        .expect(200);
    let paths = [
        format!("/api/v1/runs/{run}/steps/0/log"),
        format!("/api/v1/snapshots/{name}"),
        "/api/v1/scripts/x.sh".to_owned(),
        "/api/v1/export".to_owned(),
    ];
    let all = paths.map(|path| {
        let body = get(server, &path, &[]).expect(200).body;
        (path, body)
    });
    all.into()
}

#[test]
fn each_download_has_a_tag_and_gives_ranges() {
    let server = Server::start();
    for (path, bytes) in downloads(&server) {
        let whole = get(&server, &path, &[]).expect(200);
        let tag = whole.header("etag").unwrap().to_owned();
        assert!(tag.starts_with('"'), "{path}: {tag}");
        assert_eq!(whole.header("accept-ranges"), Some("bytes"), "{path}");
        assert_eq!(get(&server, &path, &[]).header("etag"), Some(tag.as_str()));
        let length = bytes.len();
        for (range, from, to) in [
            ("bytes=2-4".to_owned(), 2, 5),
            ("bytes=3-".to_owned(), 3, length),
            ("bytes=-3".to_owned(), length - 3, length),
            (format!("bytes=1-{}", length + 9), 1, length),
        ] {
            for more in [&[][..], &BROWSER[..], &[("If-Range", tag.as_str())]] {
                let mut headers = vec![("Range", range.as_str())];
                headers.extend(more);
                let part = get(&server, &path, &headers).expect(206);
                assert_eq!(part.body, bytes[from..to], "{path} {range}");
                let said = format!("bytes {from}-{}/{length}", to - 1);
                assert_eq!(part.header("content-range"), Some(said.as_str()));
                assert_eq!(part.header("content-encoding"), None);
                assert_eq!(part.header("etag"), Some(tag.as_str()));
            }
        }
        let behind = format!("bytes={length}-");
        let refused = get(&server, &path, &[("Range", &behind)]).expect(416);
        assert_eq!(
            refused.header("content-range"),
            Some(format!("bytes */{length}").as_str())
        );
        assert_eq!(
            refused.header("content-type"),
            Some("application/problem+json")
        );
        // Another state, another unit and several ranges are answered with the whole.
        for headers in [
            [("Range", "bytes=0-1"), ("If-Range", "\"other\"")],
            [
                ("Range", "bytes=0-1"),
                ("If-Range", "Tue, 01 Dec 2026 03:00:00 GMT"),
            ],
            [("Range", "lines=0-1"), ("Accept", "*/*")],
            [("Range", "bytes=0-1,3-4"), ("Accept", "*/*")],
        ] {
            assert_eq!(
                get(&server, &path, &headers).expect(200).body,
                bytes,
                "{path}"
            );
        }
        let weak = format!("W/{tag}");
        for known in [tag.as_str(), weak.as_str(), "*"] {
            let same = get(&server, &path, &[("If-None-Match", known)]).expect(304);
            assert!(same.body.is_empty() && same.header("etag").is_some());
        }
        get(&server, &path, &[("If-None-Match", "\"other\"")]).expect(200);
        get(&server, &path, &[("If-Match", "\"other\"")]).expect(412);
        let head = server.socket.send("HEAD", &path, &[], b"").expect(200);
        assert_eq!(
            head.header("content-length"),
            Some(length.to_string().as_str())
        );
        assert_eq!(head.header("etag"), Some(tag.as_str()));
        assert!(head.body.is_empty());
        let head = server
            .socket
            .send("HEAD", &path, &[("If-None-Match", &tag)], b"");
        head.expect(304);
    }
}

#[test]
fn a_compressed_answer_has_another_tag_than_the_plain_one() {
    let server = Server::start();
    for (path, _) in downloads(&server) {
        let plain = get(&server, &path, &[]).expect(200);
        let tag = plain.header("etag").unwrap().to_owned();
        let browser = get(&server, &path, &BROWSER).expect(200);
        match browser.header("content-encoding") {
            Some(_) => assert_eq!(browser.header("etag"), Some(format!("W/{tag}").as_str())),
            None => assert_eq!(browser.header("etag"), Some(tag.as_str())),
        }
        // A file stays plain, so that a browser can continue a broken download.
        if path.contains("snapshots") {
            assert_eq!(browser.header("content-encoding"), None);
        }
        // The tag that a browser has leads to no range of other bytes.
        let weak = format!("W/{tag}");
        let headers = [("Range", "bytes=1-2"), ("If-Range", weak.as_str())];
        get(&server, &path, &headers).expect(200);
    }
}

#[test]
fn a_log_that_grows_gets_another_tag_and_one_with_a_gap_gives_ranges_too() {
    let server = Server::start_with(&[("LIGHTFLOW_LOG_LIMIT", "65536")]);
    server.shell_task(
        "grows",
        &[(
            "s",
            "echo a; while ! test -e ../go; do sleep 0.02; done; echo b",
            json!({}),
        )],
    );
    let run = server.trigger("grows");
    let path = format!("/api/v1/runs/{run}/steps/0/log");
    let first = crate::harness::wait_for("the first line", || {
        Some(get(&server, &path, &[])).filter(|log| log.body == b"a\n")
    });
    let tag = first.header("etag").unwrap().to_owned();
    std::fs::write(server.data().join("go"), "").unwrap();
    server.finished(run);
    let headers = [("Range", "bytes=2-"), ("If-Range", tag.as_str())];
    assert_eq!(get(&server, &path, &headers).expect(200).body, b"a\nb\n");

    let print = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done";
    server.shell_task("long", &[("s", print, json!({}))]);
    let run = server.run_to_end("long")["id"].clone();
    let path = format!("/api/v1/runs/{run}/steps/0/log");
    let whole = get(&server, &path, &[]).expect(200).body;
    let text = String::from_utf8(whole.clone()).unwrap();
    let note = text.find("bytes were not kept").unwrap();
    for (from, to) in [(0, note), (note - 20, note + 5), (note, whole.len() - 1)] {
        let range = format!("bytes={from}-{to}");
        let part = get(&server, &path, &[("Range", &range)]).expect(206);
        assert_eq!(part.body, whole[from..=to]);
    }
}

#[test]
fn curl_continues_a_broken_download() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl");
        return;
    }
    let server = Server::start();
    for (path, bytes) in downloads(&server) {
        let part = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(part.path(), &bytes[..bytes.len() / 2]).unwrap();
        let curl = Command::new("curl")
            .args(["--silent", "--fail", "--continue-at", "-", "--output"])
            .arg(part.path())
            .arg("--max-time")
            .arg(PATIENCE.as_secs().to_string())
            .arg("--unix-socket")
            .arg(server.data().join("lightflow.sock"))
            .arg(format!("http://localhost{path}"))
            .status();
        assert!(curl.unwrap().success(), "{path}");
        assert_eq!(std::fs::read(part.path()).unwrap(), bytes, "{path}");
    }
}
