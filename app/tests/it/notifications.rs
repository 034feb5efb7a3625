//! Notifications from outside: real servers take them, and nothing waits for those that do not.

use crate::harness::{Server, wait_for};
use crate::receivers::{MailServer, Speaks, Tls, WebServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn add(server: &Server, name: &str, target: Value) {
    server
        .post("/api/v1/channels", json!({"name": name, "target": target}))
        .expect(201);
}

/// A task that fails as long as there is no file `good`.
fn moody(server: &Server) {
    let good = server.data().join("good");
    let script = format!("test -e {}", good.display());
    server.shell_task(
        "nightly",
        &[("stop", "true", json!({})), ("sync", &script, json!({}))],
    );
}

fn mend(server: &Server) {
    std::fs::write(server.data().join("good"), "").unwrap();
}

#[test]
fn each_kind_of_target_hears_of_failure_and_recovery_in_its_own_form() {
    let server = Server::start_with(&[("LIGHTFLOW_BASE_URL", "http://board:8443")]);
    moody(&server);
    let [hook, ntfy, gotify, ping] = [(); 4].map(|()| WebServer::start());
    add(
        &server,
        "hook",
        json!({"kind": "webhook", "token": "hook-token",
        "url": format!("http://{}/in/PATH-SECRET?x=1", hook.address)}),
    );
    add(
        &server,
        "phone",
        json!({"kind": "ntfy",
        "url": format!("http://ann:p%40ss-word@{}/topic", ntfy.address)}),
    );
    add(
        &server,
        "gotify",
        json!({"kind": "gotify", "token": "app-token",
        "url": format!("http://{}", gotify.address)}),
    );
    add(
        &server,
        "check",
        json!({"kind": "ping",
        "url": format!("http://{}/uuid", ping.address)}),
    );

    assert_eq!(server.run_to_end("nightly")["state"], "failed");
    let got = hook.next();
    assert_eq!(got.line, "POST /in/PATH-SECRET?x=1 HTTP/1.1");
    assert!(
        got.head.contains("authorization: Bearer hook-token"),
        "{}",
        got.head
    );
    let body: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["event"], "failure");
    assert_eq!(body["task"], "nightly");
    assert_eq!(body["text"], "failed in step sync: exit code 1");
    assert_eq!(body["url"], "http://board:8443/runs/1");
    let got = ntfy.next();
    assert_eq!(got.line, "POST /topic HTTP/1.1");
    let basic = STANDARD.encode("ann:p@ss-word");
    assert!(
        got.head.contains(&format!("authorization: Basic {basic}")),
        "{}",
        got.head
    );
    assert!(got.head.contains("title: nightly failed"), "{}", got.head);
    assert_eq!(got.body, "nightly, run 1: failed in step sync: exit code 1");
    let got = gotify.next();
    assert_eq!(got.line, "POST /message HTTP/1.1");
    assert!(got.head.contains("x-gotify-key: app-token"), "{}", got.head);
    assert_eq!(
        serde_json::from_str::<Value>(&got.body).unwrap()["title"],
        "nightly failed"
    );
    assert_eq!(ping.next().line, "POST /uuid/fail HTTP/1.1");

    mend(&server);
    assert_eq!(server.run_to_end("nightly")["state"], "success");
    let body: Value = serde_json::from_str(&hook.next().body).unwrap();
    assert_eq!(body["event"], "recovery");
    assert!(gotify.next().body.contains("nightly is fine again"));
    assert!(ntfy.next().body.contains("succeeded again"));
    assert_eq!(ping.next().line, "POST /uuid HTTP/1.1");
    // Only a dead man's switch hears of good runs.
    server.run_to_end("nightly");
    assert_eq!(ping.next().line, "POST /uuid HTTP/1.1");
    assert!(hook.is_quiet() && ntfy.is_quiet() && gotify.is_quiet());
    wait_for("all messages sent", || {
        let log = server.get("/api/v1/deliveries").expect(200).json();
        let all = log["deliveries"].as_array().unwrap().clone();
        (all.len() == 9 && all.iter().all(|d| d["state"] == "sent")).then_some(())
    });
}

#[test]
fn what_is_secret_goes_in_and_never_comes_out() {
    let server = Server::start();
    let hook = WebServer::start();
    let url = format!("http://{}/SECRET-PATH", hook.address);
    add(
        &server,
        "hook",
        json!({"kind": "webhook", "url": url, "token": "SECRET-TOKEN"}),
    );
    hook.answer_with(500);
    let refused = server
        .post("/api/v1/channels/hook/test", json!({}))
        .expect(502);
    assert_eq!(hook.next().line, "POST /SECRET-PATH HTTP/1.1");
    assert!(
        refused.json()["detail"].as_str().unwrap().contains("500"),
        "{}",
        refused.text()
    );
    hook.answer_with(204);
    server
        .post("/api/v1/channels/hook/test", json!({}))
        .expect(204);
    hook.next();
    // Changed without a secret: those there are stay, as long as the server is the same.
    let body = json!({"name": "hook2", "target": {"kind": "webhook"}, "on": ["failure"]});
    server
        .json("PUT", "/api/v1/channels/hook", body)
        .expect(200);
    server
        .post("/api/v1/channels/hook2/test", json!({}))
        .expect(204);
    let got = hook.next();
    assert_eq!(got.line, "POST /SECRET-PATH HTTP/1.1");
    assert!(got.head.contains("SECRET-TOKEN"));
    let other = WebServer::start();
    let url = format!("http://{}/", other.address);
    let body = json!({"name": "hook2", "target": {"kind": "webhook", "url": url}});
    server
        .json("PUT", "/api/v1/channels/hook2", body)
        .expect(200);
    server
        .post("/api/v1/channels/hook2/test", json!({}))
        .expect(204);
    assert!(
        !other.next().head.contains("SECRET"),
        "a token goes to another server"
    );
    let mut seen = refused.text() + &server.log();
    for path in [
        "/api/v1/channels",
        "/api/v1/channels/hook2",
        "/api/v1/deliveries",
        "/api/v1/export",
    ] {
        seen.push_str(&server.get(path).expect(200).text());
    }
    for file in ["lightflow.db", "lightflow.db-wal"] {
        let bytes = std::fs::read(server.data().join(file)).unwrap();
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(!seen.contains("SECRET"), "a secret was shown");
}

#[test]
fn mail_goes_through_tls_with_a_login_and_never_without() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::new(dir.path());
    let bundle = tls.bundle.display().to_string();
    let server = Server::start_with(&[("SSL_CERT_FILE", &bundle)]);
    moody(&server);
    let secure = WebServer::start_with(Some(&tls));
    add(
        &server,
        "hook",
        json!({"kind": "webhook", "url": format!("https://{}/", secure.address)}),
    );
    let target = |port: u16, security: &str| {
        json!({"kind": "email", "host": "localhost", "port": port.to_string(), "security": security,
            "user": "ann", "password": "mail-secret", "from": "board@example.org",
            "to": "ann@example.org, bob@example.org"})
    };
    let (implicit, upgraded) = (
        MailServer::start(&tls, Speaks::Tls),
        MailServer::start(&tls, Speaks::StartTls),
    );
    add(&server, "implicit", target(implicit.port, "tls"));
    add(&server, "upgraded", target(upgraded.port, "starttls"));
    server.run_to_end("nightly");
    for mail in [implicit.next(), upgraded.next()] {
        assert!(mail.secure);
        let recipients = mail
            .commands
            .iter()
            .filter(|c| c.starts_with("RCPT TO:<"))
            .count();
        assert_eq!(recipients, 2, "{:?}", mail.commands);
        let (head, body) = mail.text.split_once("\n\n").unwrap();
        assert!(head.contains("\nSubject: nightly failed\n"), "{head}");
        let body = STANDARD.decode(body.replace('\n', "")).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("failed in step sync: exit code 1"), "{body}");
    }
    assert!(secure.next().body.contains("nightly failed"));
    // A server that offers no TLS hears neither user nor mail.
    let clear = MailServer::start(&tls, Speaks::Clear);
    add(&server, "clear", target(clear.port, "starttls"));
    let refused = server
        .post("/api/v1/channels/clear/test", json!({}))
        .expect(502);
    assert!(refused.text().contains("STARTTLS"), "{}", refused.text());
    let seen = clear.seen.lock().unwrap().join("\n");
    assert!(seen.starts_with("EHLO ") && !seen.contains('\n'), "{seen}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("a"), dir.path().join("b"));
    for folder in [&ours, &theirs] {
        std::fs::create_dir(folder).unwrap();
    }
    let trusted = Tls::new(&ours);
    let web = WebServer::start_with(Some(&Tls::new(&theirs)));
    let bundle = trusted.bundle.display().to_string();
    let server = Server::start_with(&[("SSL_CERT_FILE", &bundle)]);
    add(
        &server,
        "hook",
        json!({"kind": "webhook", "url": format!("https://{}/", web.address)}),
    );
    let refused = server
        .post("/api/v1/channels/hook/test", json!({}))
        .expect(502);
    assert!(refused.text().contains("certificate"), "{}", refused.text());
}

#[test]
fn a_refused_channel_says_so_beside_each_field() {
    let server = Server::start();
    let answer = server.post(
        "/api/v1/channels",
        json!({"name": "a b", "target": {"kind": "ntfy", "url": "ntfy.sh/x"}, "on": ["sometimes"], "tasks": ["nope"]}),
    );
    let errors = answer.expect(422).json()["errors"].clone();
    let fields: Vec<&str> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["name", "on", "url"]);
    let url = "https://ntfy.sh/x";
    let target = json!({"kind": "ntfy", "url": url});
    let unknown = json!({"name": "a", "target": target, "tasks": ["nope"]});
    let answer = server.post("/api/v1/channels", unknown).expect(422);
    assert_eq!(answer.json()["errors"][0]["field"], "tasks");
    add(&server, "a", json!({"kind": "ntfy", "url": url}));
    let again = json!({"name": "a", "target": {"kind": "ntfy", "url": url}});
    server.post("/api/v1/channels", again).expect(409);
    server
        .json("DELETE", "/api/v1/channels/a", json!({}))
        .expect(204);
    server
        .json("DELETE", "/api/v1/channels/a", json!({}))
        .expect(404);
}

#[test]
fn a_target_that_hangs_holds_up_no_run() {
    let server = Server::start();
    moody(&server);
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    add(&server, "hook", json!({"kind": "webhook", "url": url}));
    for _ in 0..3 {
        assert_eq!(server.run_to_end("nightly")["state"], "failed");
    }
    let waiting = server.get("/api/v1/deliveries").json();
    assert_eq!(waiting["deliveries"].as_array().unwrap().len(), 3);
    // A channel for one task tells nothing of another.
    let body = json!({"name": "hook", "target": {"kind": "webhook"}, "tasks": []});
    server
        .json("PUT", "/api/v1/channels/hook", body)
        .expect(200);
    server.run_to_end("nightly");
    let waiting = server.get("/api/v1/deliveries").json();
    assert_eq!(waiting["deliveries"].as_array().unwrap().len(), 3);
}
