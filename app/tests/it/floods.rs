//! Requests that are too large, too slow or too many: cut off before they cost anything.

use crate::harness::{PATIENCE, Server};
use crate::people::{FORM, JSON, OURS, token};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends raw bytes and returns the answer before the connection ended.
fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that refuses may close before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..n]);
        if answer.windows(4).any(|w| w == b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_is_too_large_is_refused_before_it_is_kept() {
    let server = Server::start();
    let token = token(&server, "admin");
    let huge = "x".repeat(200_000);
    let status = |request: String| {
        let answer = raw(&server, request.as_bytes());
        answer.split(' ').nth(1).unwrap_or("closed").to_owned()
    };
    let long_header = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {huge}\r\n\r\n");
    let long_path = format!("GET /{huge} HTTP/1.1\r\nHost: a\r\n\r\n");
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X-A: b\r\n".repeat(5000)
    );
    for request in [long_header, long_path, many] {
        let answered = status(request);
        assert!(
            ["431", "414", "closed"].contains(&answered.as_str()),
            "{answered}"
        );
    }
    let head = |path: &str, kind: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\nSec-Fetch-Site: same-origin\r\nContent-Type: {kind}\r\n"
        )
    };
    for (path, kind, size) in [
        ("/login", FORM.1, 100_000),
        ("/setup", FORM.1, 100_000),
        ("/api/v1/pools", JSON.1, 2_000_000),
        ("/add/pool", FORM.1, 3_000_000),
    ] {
        let honest = format!(
            "{}Content-Length: {size}\r\n\r\n{}",
            head(path, kind),
            "x".repeat(size)
        );
        // A connection that is reset may lose the answer.
        let refused = |answered: String| ["413", "closed"].contains(&answered.as_str());
        assert!(refused(status(honest)), "{path}");
        // Without a length, as long as it keeps coming.
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let endless = format!(
            "{}Transfer-Encoding: chunked\r\n\r\n{}",
            head(path, kind),
            chunk.repeat(size / 0x10000 + 2)
        );
        assert!(refused(status(endless)), "{path}");
    }
    // Two lengths, or a length and chunks, are how requests are smuggled past a proxy.
    let two = format!(
        "{}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
        head("/api/v1/pools", JSON.1)
    );
    assert_eq!(status(two), "400");
    server.get("/healthz").expect(200);
}

#[test]
fn a_connection_that_asks_for_nothing_is_closed() {
    let server = Server::start();
    let address = server.address();
    let silent = TcpStream::connect(address).unwrap();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut preface = TcpStream::connect(address).unwrap();
    preface
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    let mut body = TcpStream::connect(address).unwrap();
    body.write_all(b"POST /login HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nname=")
        .unwrap();
    for mut stream in [silent, half, preface, body] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // Closed or reset, but not left open until our patience ends.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "still open");
        }
    }
}

#[test]
fn a_flood_of_logins_is_turned_away() {
    let server = Server::start();
    let huge = format!("name=ann&password={}", "x".repeat(100_000));
    let answer = server
        .network
        .send("POST", "/login", &[FORM, OURS], huge.as_bytes());
    assert!(
        answer.status >= 400 && answer.status < 500,
        "{}",
        answer.status
    );
    let (tell, statuses) = std::sync::mpsc::channel();
    for _ in 0..14 {
        let (network, tell) = (server.network.clone(), tell.clone());
        std::thread::spawn(move || {
            let answer = network.send("POST", "/login", &[FORM, OURS], b"name=a&password=b");
            let _ = tell.send(answer.status);
        });
    }
    // The rest still waits for its turn; that is the point.
    let mut seen = BTreeSet::new();
    while !(seen.contains(&429) && seen.contains(&401)) {
        seen.insert(statuses.recv_timeout(PATIENCE).unwrap());
    }
}
