//! Settings, certificate and snapshots: changed while the server runs.

use crate::harness::{Server, command, wait_for};
use crate::http::Address;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[test]
fn settings_hold_after_a_restart_and_what_is_wrong_is_refused() {
    let server = Server::start();
    let empty = server.get("/api/v1/settings").expect(200).json();
    assert_eq!(empty["zone"], Value::Null);
    let set = json!({"zone": "Europe/Paris", "base_url": "https://light.lan/", "keep_runs": 7,
        "keep_days": 30, "audit_days": 90});
    let saved = server
        .json("PUT", "/api/v1/settings", set)
        .expect(200)
        .json();
    assert_eq!(saved["base_url"], "https://light.lan");
    for (field, value) in [
        ("zone", json!("Mars/Olympus")),
        ("base_url", json!("light.lan")),
        ("keep_runs", json!(0)),
        ("audit_days", json!(0)),
    ] {
        let answer = server
            .json("PUT", "/api/v1/settings", json!({field: value}))
            .expect(422);
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    let form = server.get("/add/task").text();
    assert!(form.contains("name=\"keep_runs\" value=\"7\""), "{form}");
    let server = server.restart();
    assert_eq!(server.get("/api/v1/settings").json(), saved);
    assert!(
        server
            .get("/settings/about")
            .text()
            .contains("Europe/Paris")
    );
    let audit = server.get("/api/v1/audit?kind=settings").json();
    assert_eq!(audit["entries"].as_array().unwrap().len(), 1, "{audit}");
}

#[test]
fn another_zone_is_followed_at_once() {
    let server = Server::start();
    let task = |name: &str, zone: Value| {
        let steps = json!([{"name": "s", "command": "sh", "args": ["-c", "echo $TZ"]}]);
        let body = json!({"name": name, "cron": "0 3 * * *", "zone": zone, "steps": steps});
        server.post("/api/v1/tasks", body).expect(201);
    };
    task("t", Value::Null);
    task("own", json!("Asia/Tokyo"));
    let next = |name: &str| {
        let task = server.get(&format!("/api/v1/tasks/{name}")).expect(200);
        let next = task.json()["next_fire"].as_str().unwrap().to_owned();
        next[11..16].to_owned()
    };
    assert_eq!(next("t"), "03:00");
    let zone = json!({"zone": "Asia/Kolkata"});
    server.json("PUT", "/api/v1/settings", zone).expect(200);
    assert_eq!(next("t"), "21:30");
    assert_eq!(next("own"), "18:00");
    let about = server.get("/settings/about").text();
    assert!(about.contains("Asia/Kolkata"), "{about}");
    server.run_to_end("t");
    assert_eq!(server.step_log(1, 0), "Asia/Kolkata\n");
    // Back to the values of the environment.
    server
        .json("PUT", "/api/v1/settings", json!({}))
        .expect(200);
    assert_eq!(next("t"), "03:00");
}

#[test]
fn a_task_that_does_not_say_what_it_keeps_is_as_the_settings_say() {
    let server = Server::start();
    let lightflow = |words: &[&str]| {
        let output = command(server.data()).args(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {text}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = lightflow(&["settings", "set", "--keep-runs", "7", "--keep-days", "30"]);
    assert!(said.contains("keep-runs   7"), "{said}");
    let steps = json!([{"name": "s", "command": "true"}]);
    server
        .post("/api/v1/tasks", json!({"name": "by_api", "steps": steps}))
        .expect(201);
    let own = json!({"name": "own", "keep_runs": 3, "steps": steps});
    server.post("/api/v1/tasks", own).expect(201);
    lightflow(&[
        "task",
        "create",
        "by_cli",
        "--step",
        "s",
        "--command",
        "true",
    ]);
    let text = "[[tasks]]\nname = \"by_import\"\nsteps = [{name = \"s\", command = \"true\"}]\n";
    let imported = server
        .socket
        .send("POST", "/api/v1/import", &[], text.as_bytes());
    imported.expect(200);
    for (name, runs) in [("by_api", 7), ("own", 3), ("by_cli", 7), ("by_import", 7)] {
        let task = server
            .get(&format!("/api/v1/tasks/{name}"))
            .expect(200)
            .json();
        assert_eq!(task["keep_runs"], runs, "{name}");
        assert_eq!(task["keep_days"], 30, "{name}");
    }
    // Taken back, it is as the program says; the tasks that are there stay as they are.
    let said = lightflow(&["settings", "set", "--keep-runs", "", "--keep-days", ""]);
    assert!(said.contains("keep-runs   not set"), "{said}");
    assert_eq!(server.get("/api/v1/tasks/by_api").json()["keep_runs"], 7);
    server
        .post("/api/v1/tasks", json!({"name": "late", "steps": steps}))
        .expect(201);
    assert_eq!(server.get("/api/v1/tasks/late").json()["keep_runs"], 100);
}

#[test]
fn the_address_for_links_changes_without_a_restart() {
    let server = Server::start();
    let web = crate::receivers::WebServer::start();
    let target = json!({"kind": "webhook", "url": format!("http://{}/in", web.address)});
    server
        .post(
            "/api/v1/channels",
            json!({"name": "hook", "target": target}),
        )
        .expect(201);
    let fields = [
        ("base_url", "https://light.lan"),
        ("zone", ""),
        ("keep_runs", "12"),
    ];
    let page = server.form("/settings/server", &fields).expect(200).text();
    assert!(
        page.contains("Saved.") && page.contains("value=\"12\""),
        "{page}"
    );
    server
        .post("/api/v1/channels/hook/test", json!({}))
        .expect(204);
    assert!(web.next().body.contains("https://light.lan/"));
    let wrong = [("base_url", "nowhere"), ("keep_days", "many")];
    let page = server.form("/settings/server", &wrong).expect(422).text();
    assert!(
        page.contains("value=\"nowhere\"") && page.contains("value=\"many\""),
        "{page}"
    );
}

#[test]
fn a_snapshot_is_taken_listed_and_downloaded_while_the_server_runs() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let made = server
        .post("/api/v1/snapshots", json!({}))
        .expect(201)
        .json();
    let name = made["name"].as_str().unwrap();
    server.form("/settings/snapshots", &[]).expect(303);
    let list = server.get("/api/v1/snapshots").json();
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 2);
    let page = server.get("/settings/snapshots").text();
    assert!(page.contains(name), "{page}");
    let copy = server.get(&format!("/api/v1/snapshots/{name}")).expect(200);
    assert_eq!(copy.body.len() as u64, made["bytes"].as_u64().unwrap());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("lightflow.db"), &copy.body).unwrap();
    let mut restored = serve(dir.path());
    let own = Address::Socket(dir.path().join("lightflow.sock"));
    let tasks = own.send("GET", "/api/v1/tasks", &[], b"").json();
    assert_eq!(tasks["tasks"][0]["name"], "t");
    restored.kill().unwrap();
    restored.wait().unwrap();
    for bad in [
        "..%2Flightflow.db",
        "..%2Fsecret.key",
        "secret.key",
        "gone.db",
    ] {
        server.get(&format!("/api/v1/snapshots/{bad}")).expect(404);
        let path = format!("/api/v1/snapshots/{bad}");
        server.json("DELETE", &path, json!({})).expect(404);
    }
    server
        .form(&format!("/settings/snapshots/{name}/delete"), &[])
        .expect(303);
    server.get(&format!("/api/v1/snapshots/{name}")).expect(404);
}

fn serve(data: &Path) -> Child {
    let child = command(data)
        .arg("serve")
        .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the socket", || {
        std::os::unix::net::UnixStream::connect(data.join("lightflow.sock")).ok()
    });
    child
}

fn openssl(args: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn another_certificate_is_served_from_the_next_connection_on() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut child = command(dir.path())
        .arg("serve")
        .env("LIGHTFLOW_LISTEN", &address)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let own = Address::Socket(dir.path().join("lightflow.sock"));
    wait_for("the socket", || {
        std::os::unix::net::UnixStream::connect(dir.path().join("lightflow.sock")).ok()
    });
    let served = || {
        let shown = openssl(&["s_client", "-connect", &address, "-servername", "x"]);
        let (_, rest) = shown.split_once("-----BEGIN CERTIFICATE-----").unwrap();
        let (body, _) = rest.split_once("-----END").unwrap();
        body.to_owned()
    };
    let (first, present) = (
        served(),
        own.send("GET", "/api/v1/certificate", &[], b"").json(),
    );
    assert_eq!(present["self_signed"], true);
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "90",
        "-subj",
        "/CN=light.lan",
        "-addext",
        "subjectAltName=DNS:light.lan,IP:192.0.2.7",
        "-keyout",
        key,
        "-out",
        cert,
    ]);
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let json_head = [("Content-Type", "application/json")];
    let put = |chain: &str, key: &str| {
        let body = json!({"chain": chain, "key": key}).to_string();
        own.send("PUT", "/api/v1/certificate", &json_head, body.as_bytes())
    };
    let other = read(dir.path().join("tls/key.pem").to_str().unwrap());
    let refused = put(&read(cert), &other).expect(422);
    assert_eq!(refused.json()["errors"][0]["field"], "key");
    assert_eq!(served(), first, "what was refused changed nothing");
    let taken = put(&read(cert), &read(key)).expect(200).json();
    assert_eq!(taken["names"], json!(["light.lan", "192.0.2.7"]));
    assert_eq!(taken["self_signed"], false);
    assert!(
        read(cert).contains(served().trim()),
        "the new one is served"
    );
    let page = own.send("GET", "/settings/certificate", &[], b"").text();
    assert!(
        page.contains("light.lan") && !page.contains("PRIVATE KEY-----\n"),
        "{page}"
    );
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    own.send("POST", "/settings/certificate/renew", &form, b"")
        .expect(303);
    let renewed = own.send("GET", "/api/v1/certificate", &[], b"").json();
    assert_eq!(renewed["self_signed"], true);
    assert_ne!(renewed["fingerprint"], present["fingerprint"]);
    let audit = own.send("GET", "/api/v1/audit?kind=certificate", &[], b"");
    assert_eq!(audit.json()["entries"].as_array().unwrap().len(), 2);
    assert!(!audit.text().contains("PRIVATE"));
    child.kill().unwrap();
    child.wait().unwrap();
}
