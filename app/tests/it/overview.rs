//! The first page: its facts of each task, its small size, and that it stands still.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::Server;
use crate::webdriver::Browser;
use serde_json::json;

/// Lines as the gate prints them.
const STORED: &str = r#"echo 'result: {"version":1,"kind":"archive","subject":"n8n","name":"n8n-2026-03-01.tar.gz","bytes":3145728,"files":12,"sha256":"ab","checked":"hash"}'"#;
const UP: &str = r#"echo 'result: {"version":1,"kind":"downtime","subject":"n8n","ms":12300}'"#;

/// Gives every task a month of nightly runs that ended before now, as if it had been there.
pub(crate) fn a_month_of_runs(server: &Server) {
    let database = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO runs (id, task_id, task_name, trigger, due, state, created_at, started_at, finished_at)
             WITH RECURSIVE days (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < 30),
             fires AS (SELECT id AS task, name, day, (unixepoch() - day * 86400) * 1000 AS at FROM days, tasks)
             SELECT 1000 + (30 - day) * 1000 + task, task, name, 'schedule', at,
                 CASE WHEN (day * 7 + task) % 23 = 0 THEN 'failed' WHEN (day + task) % 11 = 0 THEN 'missed' ELSE 'success' END,
                 at, at, at + 60000 + (day * task % 17) * 7000 FROM fires;
             INSERT INTO step_runs (run_id, position, definition, state, attempt, started_at, finished_at, down_ms, stored_bytes)
             SELECT id, 0, json_object('name', 'sync', 'command', 'sh'),
                 CASE state WHEN 'failed' THEN 'failed' ELSE 'success' END, 1, started_at, finished_at,
                 9000 + id % 100 * 100, 1000000000 + id % 1000 * 100000 + id * id
             FROM runs WHERE id >= 1000 AND state <> 'missed';",
        )
        .unwrap();
}

#[test]
fn it_tells_what_the_gate_said_and_shows_what_is_wrong_first() {
    let server = Server::start();
    let always = json!({"rule": "always"});
    server.shell_task(
        "a_fine",
        &[("archive", STORED, json!({})), ("start", UP, always)],
    );
    server.shell_task("b_broken", &[("sync", "exit 3", json!({}))]);
    let fine = server.run_to_end("a_fine");
    assert_eq!(fine["steps"][0]["stored_bytes"], 3_145_728);
    assert_eq!(fine["steps"][1]["down_ms"], 12_300);
    server.run_to_end("b_broken");
    let page = server.get("/").expect(200).text();
    let of = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(of("1 of 2 tasks needs attention") < of("href=\"/tasks/b_broken\""));
    assert!(of("href=\"/tasks/b_broken\"") < of("sync: exit code 3"));
    assert!(of("sync: exit code 3") < of("href=\"/tasks/a_fine\""));
    assert!(of("href=\"/tasks/a_fine\"") < of("data-label=\"Downtime\">12 s"));
    of("3.0 MiB");
    of("aria-label=\"Last 30 days: 1 good, 0 failed\"");
    assert_eq!(page.matches("<svg class=\"last\"").count(), 2);
}

#[test]
fn the_mirror_stands_on_the_overview_and_in_the_metrics_longer_than_its_run() {
    let server = Server::start();
    let sync = |state: &str| {
        format!(
            r#"echo 'result: {{"version":1,"kind":"mirror","subject":"n8n","files":12,"added":3,"replaced":2,"deleted":1,{state}}}'"#
        )
    };
    let complete =
        sync(r#""complete_as_of":"2026-03-01T03:00:00Z","bytes":5242880,"left_bytes":0,"new":1"#);
    let first = sync(r#""complete_as_of":null,"left_bytes":1073741824,"percent":31"#);
    server.shell_task(
        "a_n8n",
        &[("sync", &complete, json!({})), ("start", UP, json!({}))],
    );
    server.shell_task("b_immich", &[("sync", &first, json!({}))]);
    let run = server.run_to_end("a_n8n");
    assert_eq!(
        run["steps"][0]["mirror"]["complete_as_of"],
        "2026-03-01T03:00:00.000Z"
    );
    server.run_to_end("b_immich");
    // The run that said so is gone, and a later one reports nothing.
    let silent = json!({"name": "a_n8n", "steps": [{"name": "s", "command": "false"}]});
    server
        .json("PUT", "/api/v1/tasks/a_n8n", silent)
        .expect(200);
    server.run_to_end("a_n8n");
    server
        .json("DELETE", "/api/v1/runs/1", json!({}))
        .expect(204);
    let server = server.restart();
    let page = server.get("/").expect(200).text();
    for text in [
        "Mirror complete as of",
        "(5.0 MiB)",
        "Mirror never complete",
        "31 % uploaded, 1.0 GiB left",
        ">12 s",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let metrics = server.get("/metrics").expect(200).text();
    for line in [
        "lightflow_task_mirror_complete_timestamp_seconds{task=\"a_n8n\"} 1772334000",
        "lightflow_task_mirror_complete_timestamp_seconds{task=\"b_immich\"} 0",
        "lightflow_task_mirror_left_bytes{task=\"b_immich\"} 1073741824",
        "lightflow_task_mirror_size_bytes{task=\"a_n8n\"} 5242880",
        "lightflow_task_downtime_seconds{task=\"a_n8n\"} 12.300",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn an_upload_that_its_own_limit_ended_says_so() {
    let server = Server::start();
    let upload = "echo 'progress: 31% 1073741824 of 2147483648 bytes, 3 of 9 files, 1.0 MB/s, 900 s left (uploading)'; sleep 600";
    let quiet = "echo 'progress: 31% 1 of 2 bytes, 3 of 9 files, 1.0 MB/s, 900 s left (comparing)'; sleep 600";
    server.shell_task(
        "t",
        &[
            ("sync", upload, json!({"timeout": 1})),
            ("quiet", quiet, json!({"timeout": 1, "rule": "always"})),
        ],
    );
    server.run_to_end("t");
    let page = server.get("/runs/1").expect(200).text();
    assert!(
        page.contains("own limit ended an upload (31 %, 1.0 GiB of 2.0 GiB"),
        "{page}"
    );
    assert!(page.contains("longer timeout"), "{page}");
    // At the head of the page, in the last lines of its log and at its step.
    assert_eq!(page.matches("ended an upload").count(), 3, "{page}");
}

#[test]
fn missed_fires_hide_neither_the_run_that_goes_on_nor_the_last_success() {
    let server = Server::start();
    server.shell_task("long", &[("s", "echo up; exec sleep 600", json!({}))]);
    server.shell_task("good", &[("s", "true", json!({}))]);
    server.run_to_end("good");
    let run = server.trigger("long");
    server.step_is(run, 0, "running");
    // As the clock would write them: sixty fire times that came due meanwhile, and sixty failures since the success.
    let database = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO runs (id, task_id, task_name, trigger, due, state, created_at, finished_at)
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60)
             SELECT 100 + n, 1, 'long', 'schedule', n, 'missed', 1000 * unixepoch(), 1000 * unixepoch() FROM n
             UNION ALL SELECT 200 + n, 2, 'good', 'manual', NULL, 'failed', 1000 * unixepoch(), 1000 * unixepoch() FROM n",
        )
        .unwrap();
    let task = server.get("/api/v1/tasks/long").expect(200).json();
    assert_eq!(task["last_run"]["id"], run);
    let list = server.get("/api/v1/tasks").expect(200).json();
    assert_eq!(list["tasks"][1]["last_run"]["id"], run);
    for path in ["/tasks", "/tasks/long", "/"] {
        let page = server.get(path).expect(200).text();
        assert!(page.contains(&format!("/runs/{run}\"")), "{path}: {page}");
    }
    let metrics = server.get("/metrics").expect(200).text();
    let good = "lightflow_task_last_success_timestamp_seconds{task=\"good\"}";
    assert!(metrics.contains(good), "{metrics}");
    assert!(
        !metrics.contains("lightflow_task_last_run_ok{task=\"long\"}"),
        "{metrics}"
    );
    let cancelled = std::process::Command::new(crate::harness::BINARY)
        .env("LIGHTFLOW_DATA_DIR", server.data())
        .args(["task", "cancel", "long"])
        .output()
        .unwrap();
    assert!(cancelled.status.success(), "{cancelled:?}");
    assert_eq!(server.finished(run)["state"], "cancelled");
}

#[test]
fn a_task_that_did_not_succeed_for_too_long_is_overdue() {
    let server = Server::start();
    let step = json!({"name": "s", "command": "true"});
    for name in ["late", "young"] {
        let task = json!({"name": name, "cron": "0 3 * * *", "steps": [step]});
        server.post("/api/v1/tasks", task).expect(201);
    }
    let database = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    let long_ago = "UPDATE tasks SET watched_from = 1700000000000 WHERE name = 'late'";
    database.execute(long_ago, []).unwrap();
    let page = server.get("/").expect(200).text();
    assert_eq!(page.matches(">overdue</time></strong>").count(), 1);
    assert!(page.contains(">1 overdue</a>"), "{page}");
    let row = page
        .split("<tr")
        .find(|row| row.contains("/tasks/late"))
        .unwrap();
    assert!(row.contains(">overdue</time></strong>"), "{row}");
    assert!(row.starts_with(" class=\"wrong\""), "{row}");
    assert!(page.contains("1 of 2 tasks needs attention"));
    // Switched off, it is expected no more.
    server
        .json("PATCH", "/api/v1/tasks/late", json!({"auto": false}))
        .expect(200);
    let page = server.get("/").expect(200).text();
    assert!(!page.contains(">overdue</time></strong>"), "{page}");
}

#[test]
fn twenty_tasks_weigh_less_than_60_kb_on_the_wire() {
    let server = Server::start();
    for number in 0..20 {
        server.shell_task(
            &format!("backup_service_{number:02}"),
            &[("sync", "true", json!({}))],
        );
    }
    a_month_of_runs(&server);
    let plain = server.get("/").expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    let head = [("Accept-Encoding", "gzip, deflate, br")];
    let mut wire = 0;
    for path in ["/", "/assets/style.css", "/assets/live.js"] {
        let answer = server.socket.send("GET", path, &head, b"").expect(200);
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        wire += answer.body.len();
    }
    println!(
        "20 tasks: {} bytes of HTML, {wire} on the wire with style and module",
        plain.body.len()
    );
    assert!(wire < 60_000, "{wire}");
    assert!(plain.text().matches("class=\"of-red\"").count() > 10);
}

#[test]
fn it_is_green_only_when_each_task_that_should_have_succeeded_has() {
    let server = Server::start();
    let summary = |path: &str| {
        let page = server.get(path).expect(200).text();
        let begin = page.find("<p class=\"summary\">").unwrap();
        page[begin..].lines().next().unwrap().to_owned()
    };
    let step = json!({"name": "s", "command": "true"});
    for name in ["a", "b"] {
        let task = json!({"name": name, "cron": "0 3 * * *", "steps": [step]});
        server.post("/api/v1/tasks", task).expect(201);
    }
    // Neither has run yet.
    let young = summary("/");
    assert!(
        young.contains("box grey") && young.contains("0 of 2 tasks are fine"),
        "{young}"
    );
    assert!(young.contains(">2 never run</a>"), "{young}");
    server.run_to_end("a");
    server.run_to_end("b");
    let fine = summary("/");
    assert!(
        fine.contains("box green") && fine.contains("All 2 tasks are fine"),
        "{fine}"
    );
    // A paused task succeeds no more, so it is counted.
    server
        .json("PATCH", "/api/v1/tasks/a", json!({"auto": false}))
        .expect(200);
    let paused = summary("/");
    assert!(
        paused.contains("box grey") && paused.contains(">1 paused</a>"),
        "{paused}"
    );
    assert!(paused.contains("href=\"/?show=paused\""), "{paused}");
    let only = server.get("/?show=paused").expect(200).text();
    assert!(
        only.contains("/tasks/a\"") && !only.contains("/tasks/b\""),
        "{only}"
    );
}

#[test]
fn a_queued_run_is_not_shown_as_running() {
    let server = Server::start();
    let pool = json!({"name": "default", "slots": 1});
    server
        .json("PUT", "/api/v1/pools/default", pool)
        .expect(200);
    server.shell_task("first", &[("s", "exec sleep 600", json!({}))]);
    server.shell_task("second", &[("s", "true", json!({}))]);
    let first = server.trigger("first");
    server.step_is(first, 0, "running");
    let second = server.trigger("second");
    server.step_is(second, 0, "queued");
    let page = server.get("/").expect(200).text();
    let state = |run: i64| {
        let row = page
            .split("<tr")
            .find(|row| row.contains(&format!("/runs/{run}\"")))
            .unwrap();
        row.contains(" queued</a>")
    };
    assert!(!state(first) && state(second), "{page}");
}

/// A time that is to come, by the clock of SQLite.
fn seconds_from_now(seconds: u32) -> String {
    let time = format!("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+{seconds} seconds')");
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database.query_row(&time, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_pause_has_an_end() {
    let server = Server::start();
    for name in ["a", "b"] {
        let task =
            json!({"name": name, "cron": "0 3 * * *", "steps": [{"name": "s", "command": "true"}]});
        server.post("/api/v1/tasks", task).expect(201);
    }
    let on = |name: &str| server.get(&format!("/api/v1/tasks/{name}")).json()["auto"] == true;
    server
        .form("/schedules/pause", &[("until", "tomorrow")])
        .expect(303);
    let task = server.get("/api/v1/tasks/a").expect(200).json();
    assert!(
        task["paused_until"].as_str().unwrap().contains("T08:00:00"),
        "{task}"
    );
    for path in ["/", "/tasks", "/tasks/a"] {
        let page = server.get(path).expect(200).text();
        assert!(page.contains("paused"), "{path}: {page}");
        assert!(page.contains(">tomorrow at 08:00</time>"), "{path}: {page}");
    }
    // One task ends its pause earlier than the other.
    let soon = seconds_from_now(2);
    server
        .json("PATCH", "/api/v1/tasks/a", json!({"paused_until": soon}))
        .expect(200);
    crate::harness::wait_for("the end of the pause", || on("a").then_some(()));
    assert!(!on("b"));
    // The end survives a restart.
    let later = seconds_from_now(1);
    let body = json!({"until": later});
    server.post("/api/v1/schedules/pause", body).expect(200);
    let server = server.restart();
    let on = |name: &str| server.get(&format!("/api/v1/tasks/{name}")).json()["auto"] == true;
    crate::harness::wait_for("the end of the pause", || {
        (on("a") && on("b")).then_some(())
    });
    for wrong in ["soon", "2020-01-01T00:00:00Z"] {
        let refused = server.post("/api/v1/schedules/pause", json!({"until": wrong}));
        refused.expect(422);
    }
}

#[test]
fn two_hundred_tasks_are_pages_of_a_small_size() {
    let server = Server::start();
    let tasks: String = (0..200)
        .map(|n| format!("[[tasks]]\nname = \"backup_service_{n:03}\"\ncron = \"0 3 * * *\"\n[[tasks.steps]]\nname = \"sync\"\ncommand = \"true\"\n"))
        .collect();
    let head = [("Content-Type", "application/toml")];
    server
        .socket
        .send("POST", "/api/v1/import", &head, tasks.as_bytes())
        .expect(200);
    a_month_of_runs(&server);
    let plain = server.get("/").expect(200);
    let head = [("Accept-Encoding", "gzip")];
    let packed = server.socket.send("GET", "/", &head, b"").expect(200);
    let nodes = plain.text().matches('<').count() - plain.text().matches("</").count();
    println!(
        "200 tasks: {} bytes raw, {} compressed, {nodes} nodes",
        plain.body.len(),
        packed.body.len()
    );
    assert!(plain.body.len() <= 150_000, "{}", plain.body.len());
    assert!(packed.body.len() <= 12_000, "{}", packed.body.len());
    assert!(nodes <= 3_000, "{nodes}");
    let page = plain.text();
    assert!(page.contains("Page 1 of 2, 200 tasks"), "{page}");
    let second = server.get("/?page=2&sort=name").expect(200).text();
    assert!(second.contains("backup_service_150") && !second.contains("backup_service_050"));
    let found = server.get("/?q=service_15&sort=name").expect(200).text();
    assert_eq!(found.matches("data-run=").count(), 10);
}

#[test]
fn nothing_on_it_jumps() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    for number in 0..20 {
        let task = json!({
            "name": format!("backup_service_{number:02}"), "cron": "0 3 * * *",
            "steps": [{"name": "sync", "command": "true"}],
        });
        server.post("/api/v1/tasks", task).expect(201);
    }
    a_month_of_runs(&server);
    set_up(&server, &browser);
    let watch = "window.shifts = []; new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
    }).observe({type: 'layout-shift', buffered: true});";
    for width in [390, 820, 1440] {
        browser.resize(width);
        browser.goto(&base(&server));
        browser.script(watch);
        browser.wait_text("[data-connection]", "live");
        // The list is replaced once the stream is there.
        browser.wait_script("return performance.getEntriesByName(location.origin + '/fragments/overview').length > 0");
        let shifts = browser.script("return window.shifts.reduce((a, b) => a + b, 0)");
        assert!(shifts.as_f64().unwrap() < 0.01, "{width}: {shifts}");
    }
    no_complaints(&browser);
}
