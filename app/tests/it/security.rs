//! What attackers try over the network: sessions that are not theirs, requests of other sites,
//! markup where text belongs, paths out of a folder, and requests that are too large.

use crate::browser::{base, set_up};
use crate::harness::{PATIENCE, Server, encoded, event};
use crate::http::{Address, Answer, Events};
use crate::webdriver::Browser;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const OURS: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
const RIGHT: &str = "name=ann&password=correct-horse";

fn tcp(server: &Server) -> &str {
    match &server.network {
        Address::Tcp(address) => address,
        Address::Socket(_) => unreachable!(),
    }
}

fn add_ann(server: &Server) {
    let user = json!({"name": "ann", "password": "correct-horse", "role": "admin"});
    server.post("/api/v1/users", user).expect(201);
}

fn token(server: &Server, role: &str) -> String {
    let made = server.post("/api/v1/tokens", json!({"name": role, "role": role}));
    format!(
        "Bearer {}",
        made.expect(201).json()["token"].as_str().unwrap()
    )
}

/// The pair of name and value of the session cookie that an answer sets.
fn session(answer: &Answer) -> String {
    let mut cookies = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let set = cookies
        .find(|(_, value)| !value.contains("=;"))
        .expect("a cookie");
    set.1.split(';').next().unwrap().to_owned()
}

#[test]
fn a_session_that_somebody_else_chose_is_never_used() {
    let server = Server::start();
    add_ann(&server);
    let planted = ("Cookie", "lightflow=0123456789abcdef0123456789abcdef");
    let head = [FORM, OURS, planted];
    let first = server
        .network
        .send("POST", "/login", &head, RIGHT.as_bytes());
    let first = session(&first.expect(303));
    assert!(!first.contains("0123456789abcdef"), "{first}");
    server.network.send("GET", "/", &[planted], b"").expect(303);
    server
        .network
        .send("GET", "/", &[("Cookie", &first)], b"")
        .expect(200);
    // Whoever logs in once more gets another one as well.
    let head = [FORM, OURS, ("Cookie", first.as_str())];
    let second = server
        .network
        .send("POST", "/login", &head, RIGHT.as_bytes());
    assert_ne!(session(&second.expect(303)), first);
}

/// Asks over TLS, trusting the server's own certificate.
fn over_tls(server: &Server, request: &str) -> String {
    let certificate = server.data().join("tls/cert.pem");
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_file_iter(certificate).unwrap() {
        let certificate: rustls::pki_types::CertificateDer<'_> = certificate.unwrap();
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(tcp(server)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = rustls::StreamOwned::new(client, stream);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn over_tls_the_cookie_is_bound_to_this_host_and_to_tls() {
    let server = Server::start_with(&[("LIGHTFLOW_TLS", "on")]);
    add_ann(&server);
    let answer = over_tls(
        &server,
        &format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\
             Content-Type: {}\r\nContent-Length: {}\r\n\r\n{RIGHT}",
            FORM.1,
            RIGHT.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let cookie = answer
        .lines()
        .find(|l| {
            l.to_lowercase()
                .starts_with("set-cookie: __host-lightflow=")
        })
        .expect(&answer);
    for flag in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(
            cookie.split("; ").any(|part| part == flag),
            "{flag}: {cookie}"
        );
    }
    assert!(!cookie.to_lowercase().contains("domain="), "{cookie}");
}

#[test]
fn a_page_of_another_site_can_change_nothing_and_read_nothing() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    add_ann(&server);
    let mine = server
        .network
        .send("POST", "/login", &[FORM, OURS], RIGHT.as_bytes());
    let mine = session(&mine.expect(303));
    let host = format!("http://{}", tcp(&server));
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
    // Nothing happened, and the session goes on.
    assert_eq!(
        server.get("/api/v1/pools").json()["pools"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    server
        .network
        .send("GET", "/", &[("Cookie", &mine)], b"")
        .expect(200);
    assert_eq!(server.get("/api/v1/runs").json()["runs"], json!([]));
}

/// Closes what it may be in, and runs a script in as many ways as fit.
const MARKUP: &str = "'\"><img src=x onerror=pwned=1></script>";

/// What was made of markup on the page that is open.
const PWNED: &str = "return typeof pwned !== 'undefined' || !!document.querySelector('img[src=x], a[href^=\"javascript:\"], script:not([src])')";

#[test]
fn markup_in_anything_that_is_stored_stays_text() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    // What is a name by type refuses it, and shows it as text.
    for (path, fields) in [
        (
            "/add/task",
            vec![
                ("name", MARKUP),
                ("cron", MARKUP),
                ("zone", MARKUP),
                ("pool", MARKUP),
                ("step.name", MARKUP),
                ("step.command", MARKUP),
                ("step.args", MARKUP),
                ("step.env", MARKUP),
            ],
        ),
        ("/add/pool", vec![("name", MARKUP), ("slots", MARKUP)]),
        ("/add/variable", vec![("key", MARKUP), ("value", MARKUP)]),
        (
            "/add/script",
            vec![("name", MARKUP), ("text", MARKUP), ("base", "0")],
        ),
        (
            "/add/notification",
            vec![
                ("kind", "webhook"),
                ("name", MARKUP),
                ("url", MARKUP),
                ("scope", "some"),
                ("task", MARKUP),
            ],
        ),
        ("/login", vec![("name", MARKUP), ("password", MARKUP)]),
    ] {
        let answer = server.form(path, &fields);
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        assert!(!answer.text().contains("<img"), "{path}: {}", answer.text());
    }
    // What is text takes it.
    let log = format!(
        "printf '%s\\n' \"$K\"; printf '\\033]0;{0}\\007\\033]8;;javascript:pwned=1\\033\\\\link\\033]8;;\\033\\\\\\033[31m{0}\\377\\n'; exit 1",
        "<img src=x onerror=pwned=1>"
    );
    let step =
        json!({"name": MARKUP, "command": "sh", "args": ["-c", log, MARKUP], "env": {"E": MARKUP}});
    server
        .post("/api/v1/tasks", json!({"name": "t", "steps": [step]}))
        .expect(201);
    server.json("PUT", "/api/v1/variables/K", json!({"value": MARKUP}));
    for text in [MARKUP, "# <b>changed</b> <img src=x onerror=pwned=1>\n"] {
        server
            .socket
            .send("PUT", "/api/v1/scripts/x.txt", &[], text.as_bytes());
    }
    let target = json!({"kind": "webhook", "url": format!("http://127.0.0.1:1/{}", "%3Cimg%20src=x%20onerror=pwned=1%3E")});
    server
        .post("/api/v1/channels", json!({"name": "c", "target": target}))
        .expect(201);
    server.run_to_end("t");
    let logged = server.get("/api/v1/runs/1/steps/0/log").expect(200);
    assert!(
        logged
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    set_up(&server, &browser);
    // Every page that a link leads to.
    let mut wait: VecDeque<String> = [
        "/".to_owned(),
        "/runs/1?step=1".to_owned(),
        format!("/tasks?{}", encoded(&[("q", MARKUP)])),
        format!("/add/notification?{}", encoded(&[("kind", MARKUP)])),
        format!("/tasks/{}", encoded(&[(MARKUP, "")])),
    ]
    .into();
    let mut seen = BTreeSet::new();
    while let Some(path) = wait.pop_front() {
        let shape: String = path
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        if !seen.insert(shape) {
            continue;
        }
        browser.goto(&format!("{}{path}", base(&server)));
        if browser.script("return !!document.querySelector('[data-log]')") == json!(true) {
            browser.wait_text("[data-log-state]", "complete");
        }
        assert_eq!(browser.script(PWNED), json!(false), "{path}");
        let refused = browser
            .complaints()
            .into_iter()
            .filter(|c| !c.contains("status of 4"));
        assert_eq!(refused.collect::<Vec<_>>(), Vec::<String>::new(), "{path}");
        let links = browser.script("return [...document.querySelectorAll('a[href^=\"/\"]:not([download])')].map(a => a.pathname + a.search)");
        let links = links
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l.as_str().unwrap().to_owned());
        wait.extend(links.filter(|l| !l.starts_with("/api/v1")));
    }
    for page in [
        "/tasks/t/edit",
        "/variables/K",
        "/scripts/x.txt",
        "/scripts/x.txt/versions/1",
        "/notifications/c",
    ] {
        assert!(
            seen.contains(&page.replace('1', "0")),
            "{page} was not visited: {seen:?}"
        );
    }
}

#[test]
fn no_path_leads_out_of_a_folder() {
    let server = Server::start();
    server.shell_task("t", &[("s", "echo logged", json!({}))]);
    server.run_to_end("t");
    let key = std::fs::read(server.data().join("secret.key")).unwrap();
    std::os::unix::fs::symlink("../secret.key", server.data().join("scripts/link.py")).unwrap();
    let names = [
        "../secret.key",
        "..%2fsecret.key",
        "..%2Fsecret.key",
        "%2e%2e%2fsecret.key",
        "..%5csecret.key",
        "..%252fsecret.key",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "..",
        ".",
        "%2e%2e",
        "link.py",
        "a%00.py",
        ".hidden",
        "a%0a.py",
        "%ff",
        "%c0%ae%c0%ae%c0%afsecret.key",
    ];
    for name in names {
        for path in [
            format!("/api/v1/scripts/{name}"),
            format!("/scripts/{name}"),
            format!("/scripts/{name}/versions"),
            format!("/scripts/{name}/versions/1"),
            format!("/scripts/t/versions/{name}"),
            format!("/assets/{name}"),
            format!("/runs/{name}"),
            format!("/api/v1/runs/{name}"),
            format!("/api/v1/runs/{name}/steps/0/log"),
            format!("/api/v1/runs/1/steps/{name}/log"),
            format!("/api/v1/runs/1/steps/0/log?attempt={name}"),
            format!("/tasks/{name}"),
        ] {
            let answer = server.get(&path);
            // A path that is another path, such as a list, is no way out.
            assert!(
                (400..500).contains(&answer.status)
                    || answer.status == 200
                        && !path.contains("secret")
                        && name.starts_with(['.', '%']),
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(
                !answer.body.windows(key.len()).any(|part| part == key),
                "{path}"
            );
            assert!(!answer.text().contains("root:x:"), "{path}");
        }
        let path = format!("/api/v1/scripts/{name}");
        let put = server.socket.send("PUT", &path, &[], b"changed");
        if name != "link.py" {
            assert!(
                (400..500).contains(&put.status),
                "PUT {path}: {}",
                put.status
            );
            let gone = server.socket.send("DELETE", &path, &[], b"");
            assert!(
                (400..500).contains(&gone.status),
                "DELETE {path}: {}",
                gone.status
            );
        }
    }
    // Written over, a link is a file; what it led to is as it was.
    assert_eq!(
        std::fs::read(server.data().join("secret.key")).unwrap(),
        key
    );
    assert!(!std::path::Path::new("/etc/passwd").is_symlink());
    assert!(!server.data().join("scripts/link.py").is_symlink());
    assert_eq!(server.get("/api/v1/runs/1/steps/0/log").text(), "logged\n");
}

/// Sends raw bytes and returns what came back before the connection ended.
fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(tcp(server)).unwrap();
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
        // A connection that is reset may take the answer with it.
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
fn two_hundred_idle_clients_all_hear_of_a_run() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let viewer = token(&server, "viewer");
    let head = [("Authorization", viewer.as_str())];
    let mut clients: Vec<Events> = (0..200)
        .map(|_| Events::new(server.network.open("GET", "/api/v1/events", &head, b"")))
        .collect();
    for client in &mut clients {
        event(client, |e| e.name == "hello");
    }
    let run = server.trigger("t");
    for client in &mut clients {
        let last = event(client, |e| e.name == "run" && e.json()["finished"] == true);
        assert_eq!(last.json()["id"], Value::from(run));
    }
}
