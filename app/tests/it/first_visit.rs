//! The first visit, wrong addresses, and mistakes that used to stay silent.

use crate::harness::{Server, command, wait_for};
use crate::people::{add_user, log_in};
use crate::receivers::WebServer;
use serde_json::json;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

#[test]
fn the_login_page_says_where_the_setup_link_is_until_a_user_exists() {
    let server = Server::start();
    let login = || {
        server
            .network
            .send("GET", "/login", &[], b"")
            .expect(200)
            .text()
    };
    assert!(login().contains("No user exists yet"), "{}", login());
    assert!(login().contains("journalctl") && login().contains("/setup?token="));
    assert!(!login().contains(&server.setup_token()));
    add_user(&server, "ann", "admin");
    assert!(!login().contains("No user exists yet"));
}

#[test]
fn the_setup_link_is_printed_at_every_level_of_the_log() {
    for level in ["warn", "error", "off"] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = command(dir.path())
            .arg("serve")
            .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
            .env("LIGHTFLOW_TLS", "off")
            .env("LIGHTFLOW_LOG", level)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let mut seen = Vec::new();
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains("/setup?token=") {
            let length = stderr.read(&mut part).unwrap();
            assert!(length > 0, "{level}: {}", String::from_utf8_lossy(&seen));
            seen.extend(&part[..length]);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_mistyped_level_or_address_stops_the_start_and_says_why() {
    for (key, value, words) in [
        ("LIGHTFLOW_LOG", "inof", "use error, warn, info"),
        (
            "LIGHTFLOW_BASE_URL",
            "lightflow.lan:8443",
            "https://lightflow.lan:8443",
        ),
        (
            "LIGHTFLOW_BASE_URL",
            "https://lightflow.lan/flow",
            "leave the path out",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let ended = command(dir.path())
            .arg("serve")
            .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
            .env(key, value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{value}");
        assert!(said.contains(key) && said.contains(words), "{said}");
    }
}

#[test]
fn a_browser_gets_a_page_at_every_wrong_address() {
    let server = Server::start();
    add_user(&server, "ann", "admin");
    server.shell_task("t", &[("s", "true", json!({}))]);
    let cookie = log_in(&server, "ann");
    let ask = |path: &str, accept: (&str, &str)| {
        let head = [("Cookie", cookie.as_str()), accept];
        server.network.send("GET", path, &head, b"")
    };
    for (path, status) in [
        ("/no/such/page", 404),
        ("/tasks/t/run", 405),
        ("/schedules/pause", 405),
        ("/settings/no-such-part", 404),
    ] {
        let page = ask(path, BROWSER).expect(status);
        assert!(
            page.header("content-type")
                .unwrap()
                .starts_with("text/html"),
            "{path}"
        );
        assert!(
            page.text().contains("To the overview"),
            "{path}: {}",
            page.text()
        );
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
        // A program reads the problem.
        let problem = ask(path, ("Accept", "*/*")).expect(status);
        assert_eq!(problem.json()["status"], status, "{path}");
    }
    let problem = ask("/api/v1/no-such-thing", BROWSER).expect(404);
    assert_eq!(problem.json()["status"], 404);
    // The first check of a request refuses this one.
    let head = [
        ("Cookie", cookie.as_str()),
        BROWSER,
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let page = server
        .network
        .send("POST", "/tasks/t/run", &head, b"")
        .expect(403);
    assert!(page.text().contains("To the overview"), "{}", page.text());
}

#[test]
fn plain_http_at_the_port_of_tls_is_sent_to_https() {
    let server = Server::start_with(&[("LIGHTFLOW_TLS", "on")]);
    let answer = server
        .network
        .send("GET", "/tasks?q=a", &[], b"")
        .expect(307);
    let to = "https://localhost/tasks?q=a";
    assert_eq!(answer.header("location"), Some(to));
    server
        .over_tls()
        .send("GET", "/healthz", &[], b"")
        .expect(200);
}

#[test]
fn an_argument_that_begins_with_a_hash_arrives() {
    let server = Server::start();
    let step = json!({"name": "s", "command": "echo", "args": "--channel #ops --last"});
    server
        .post("/api/v1/tasks", json!({"name": "t", "steps": [step]}))
        .expect(201);
    let run = server.run_to_end("t");
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    assert_eq!(log, "--channel #ops --last\n");
}

#[test]
fn a_script_that_cannot_be_started_says_why() {
    let server = Server::start();
    let scripts = server.data().join("scripts");
    for (name, text, mode, words) in [
        (
            "windows.sh",
            "#!/bin/sh\r\necho hi\r\n",
            0o755,
            "line ends of Unix",
        ),
        ("headless", "echo hi\n", 0o755, "#!/bin/sh"),
        (
            "lost.sh",
            "#!/no/such/shell\n",
            0o755,
            "interpreter /no/such/shell, which does not exist",
        ),
        ("closed.sh", "#!/bin/sh\n", 0o644, "make it executable"),
    ] {
        let path = scripts.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let task = name.replace('.', "_");
        let step = json!({"name": "s", "command": format!("./{name}")});
        server
            .post("/api/v1/tasks", json!({"name": task, "steps": [step]}))
            .expect(201);
        let run = server.run_to_end(&task);
        let reason = run["steps"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(words) && reason.contains(name), "{reason}");
    }
}

#[test]
fn a_script_that_is_tried_sounds_no_alarm() {
    let server = Server::start();
    let receiver = WebServer::start();
    let target = json!({"kind": "webhook", "url": format!("http://{}/hook", receiver.address)});
    server
        .post(
            "/api/v1/channels",
            json!({"name": "hook", "target": target}),
        )
        .expect(201);
    let text = b"#!/bin/sh\nexit 3\n";
    let written = server
        .socket
        .send("PUT", "/api/v1/scripts/try.sh", &[], text);
    assert!(written.status < 300, "{}", written.text());
    let run = server
        .post("/api/v1/scripts/try.sh/run", json!({}))
        .expect(202)
        .json()["run"]
        .clone();
    assert_eq!(server.finished(run.as_i64().unwrap())["state"], "failed");
    // A task of the user that fails later is the first one that is heard of.
    server.shell_task("real", &[("s", "exit 3", json!({}))]);
    server.run_to_end("real");
    let deliveries = wait_for("the alarm", || {
        let list = server.get("/api/v1/deliveries").json()["deliveries"].clone();
        (!list.as_array().unwrap().is_empty()).then_some(list)
    });
    let tasks: Vec<&str> = deliveries
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["task"].as_str().unwrap())
        .collect();
    assert_eq!(tasks, ["real"]);
}

#[test]
fn a_saved_setting_pins_no_other() {
    let server = Server::start();
    let saved = server
        .json("PUT", "/api/v1/settings", json!({"keep_runs": 7}))
        .expect(200)
        .json();
    assert_eq!(
        (&saved["keep_runs"], &saved["keep_days"]),
        (&json!(7), &json!(null))
    );
    server.shell_task("t", &[("s", "true", json!({}))]);
    let task = server.get("/api/v1/tasks/t").json();
    assert_eq!(
        (&task["keep_runs"], &task["keep_days"]),
        (&json!(7), &json!(365))
    );
}

#[test]
fn a_stream_asks_nginx_not_to_hold_it_back() {
    let server = Server::start();
    let live = server.socket.open("GET", "/api/v1/events", &[], b"");
    let header = live
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-accel-buffering"));
    assert_eq!(header.map(|(_, value)| value.as_str()), Some("no"));
}

#[test]
fn a_run_is_cancelled_on_the_page_of_its_task_without_javascript() {
    let server = Server::start();
    server.shell_task("t", &[("s", "exec sleep 600", json!({}))]);
    let run = server.trigger("t");
    server.step_is(run, 0, "running");
    let page = server.get("/tasks/t").expect(200).text();
    assert!(
        page.contains(&format!("action=\"/runs/{run}/cancel\"")),
        "{page}"
    );
    server.form(&format!("/runs/{run}/cancel"), &[]).expect(303);
    assert_eq!(server.finished(run)["state"], "cancelled");
}
